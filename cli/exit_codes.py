"""The exit codes of all commands; docs/admin.md explains them. An evaluation may end with the sum of two."""

from __future__ import annotations

from moodlemlbackend.errors import BackendError, Status, UsageError

OK = int(Status.OK)
FAILED = int(Status.GENERAL_ERROR)
WRONG_USAGE = 2  # as click ends; the same number as Status.NO_DATASET


def code_of_error(error: BackendError) -> int:
    """The exit code of a command that ended with an error."""
    return WRONG_USAGE if isinstance(error, UsageError) else int(error.status)


def code_of_run(status: int) -> int:
    """The exit code of a run on a model that ended with this status: having had nothing to do is no failure."""
    return OK if status == Status.NO_DATASET else int(status)
