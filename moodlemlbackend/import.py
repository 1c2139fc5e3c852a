"""Door for Moodle: ``python -m moodlemlbackend.import``."""

import sys

from moodlemlbackend.door import door

if __name__ == "__main__":
    sys.exit(door("import"))
