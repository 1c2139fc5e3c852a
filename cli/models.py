"""``moodlemlbackend models``: everything an administrator does with models."""

from __future__ import annotations

import click

from ._analytics import LazyGroup

_MANAGE, _RUN, _MOVE = "models_manage", "models_run", "models_move"


EXAMPLES = """\
moodlemlbackend models list
moodlemlbackend models evaluate 1 --interval quarters
"""


@click.group(
    "models",
    cls=LazyGroup,
    epilog=EXAMPLES,
    lazy={
        "list": _MANAGE,
        "show": _MANAGE,
        "create": _MANAGE,
        "edit": _MANAGE,
        "enable": _MANAGE,
        "disable": _MANAGE,
        "evaluate": _RUN,
        "train": _RUN,
        "predict": _RUN,
        "log": _RUN,
        "clear": _MANAGE,
        "delete": _MANAGE,
        "restore": _MANAGE,
        "export": _MOVE,
        "import": _MOVE,
        "export-data": _MOVE,
        "invalid": _RUN,
    },
)
def command() -> None:
    """List, make, change, judge, train and exchange models."""
