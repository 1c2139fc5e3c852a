"""Fuzzing: everything that reads what comes from outside, and the lives of models; ``python -m fuzz --help``."""
