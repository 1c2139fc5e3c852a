"""``python -m moodlemlbackend`` is the command ``moodlemlbackend``, also where the latter is not on the path."""

from moodlemlbackend.cli import main  # type: ignore[import-not-found]  # its folder in the repository is cli/

if __name__ == "__main__":
    main(prog_name="moodlemlbackend")
