"""The network: encoding of columns, training in TensorFlow, prediction in NumPy. Knows nothing of Moodle."""
