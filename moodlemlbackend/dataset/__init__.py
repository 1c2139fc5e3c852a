"""Data sets: the file that Moodle writes and its rows, read, written and made frames of."""
