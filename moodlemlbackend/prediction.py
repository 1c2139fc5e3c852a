"""What Moodle runs as ``python -m moodlemlbackend.prediction``."""

import sys

from moodlemlbackend.entrypoint import call_from_moodle

if __name__ == "__main__":
    sys.exit(call_from_moodle("prediction"))
