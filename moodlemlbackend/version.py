"""What Moodle runs as ``python -m moodlemlbackend.version``: one line with the version, nothing else."""

import sys

from moodlemlbackend.settings.backend import reported_version

if __name__ == "__main__":
    sys.stdout.write(f"{reported_version()}\n")
