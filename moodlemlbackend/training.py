"""Door for Moodle: ``python -m moodlemlbackend.training``."""

import sys

from moodlemlbackend.door import door

if __name__ == "__main__":
    sys.exit(door("training"))
