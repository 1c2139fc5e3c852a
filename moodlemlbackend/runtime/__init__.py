"""What surrounds a call: one line and an exit code whatever happens, its run, its progress, its environment."""
