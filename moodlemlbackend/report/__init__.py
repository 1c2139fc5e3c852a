"""What people look at after a run: figures and TensorBoard events."""
