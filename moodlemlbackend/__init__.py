"""Machine-learning backend for Moodle's learning analytics."""

__version__ = "3.1.0"
