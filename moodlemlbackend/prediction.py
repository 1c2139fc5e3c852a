"""Door for Moodle: ``python -m moodlemlbackend.prediction``."""

import sys

from moodlemlbackend.door import door

if __name__ == "__main__":
    sys.exit(door("prediction"))
