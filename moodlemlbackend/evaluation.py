"""Door for Moodle: ``python -m moodlemlbackend.evaluation``."""

import sys

from moodlemlbackend.door import door

if __name__ == "__main__":
    sys.exit(door("evaluation"))
