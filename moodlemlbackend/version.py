"""Door for Moodle: ``python -m moodlemlbackend.version`` prints the version, and nothing else on either stream."""

import sys

from moodlemlbackend.settings.backend import reported_version

if __name__ == "__main__":
    sys.stdout.write(f"{reported_version()}\n")
