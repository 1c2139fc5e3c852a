"""``moodlemlbackend insights act``."""

from __future__ import annotations

import click

from ..command import Answer
from ..command import command as make
from ..options import user_option
from ..session import Session
from .groups import check_groups

EXAMPLES = """\
moodlemlbackend insights act acknowledge 12 13 --user 453
moodlemlbackend insights act not-useful 12
"""


@make(
    "act",
    click.argument("action", metavar="ACTION"),
    click.argument("predictions", metavar="ID...", type=click.IntRange(1), nargs=-1, required=True),
    user_option("Act as this user; predictions hidden from the user by separate groups are refused."),
    site=True, store=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, action: str, predictions: tuple[int, ...], user: int | None) -> Answer:
    """Record that somebody has dealt with predictions.

    ACTION is acknowledge, useful, not-useful, not-applicable or take-back, which undoes the user's last answer. After
    not-useful, the next training makes such predictions less likely, for everybody; rule-based models do not change.
    """
    from moodlemlbackend.analytics.insights import actions

    if user is not None:
        check_groups(session, user, predictions)
    if action == "take-back":
        number = actions.take_back(session.workspace, predictions)
        text = "Taken back." + (f" The model will forget {number} of these answers." if number else "")
        undo = ""
    else:
        number = actions.perform(session.workspace, action, predictions)
        text = "Recorded." + (f" The model will learn from {number} of these answers." if number else "")
        undo = _undo(predictions, user) if actions.is_undone(action) else ""
    facts = {"action": action, "predictions": [*predictions], "learned": number, "user": user, "undo": undo}
    return Answer(facts, f"{text}\nTo undo: {undo}" if undo else text)


def _undo(predictions: tuple[int, ...], user: int | None) -> str:
    """The command that takes back what was said of predictions."""
    words = ["moodlemlbackend insights act take-back", *map(str, predictions)]
    return " ".join([*words, *(() if user is None else ("--user", str(user)))])
