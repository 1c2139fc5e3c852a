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
    user_option("Act as this user, who must be allowed to see the predictions."),
    site=True, store=True, examples=EXAMPLES,
)  # fmt: skip
def command(session: Session, action: str, predictions: tuple[int, ...], user: int | None) -> Answer:
    """Record that somebody has dealt with predictions: acknowledge, not-useful, not-applicable, useful or take-back.

    Predictions that are not useful are learned from in the next training: they become less likely. take-back undoes
    what the user has said. With --user only what separate groups do not hide from this user.
    """
    from moodlemlbackend.analytics.insights import actions

    if user is not None:
        check_groups(session, user, predictions)
    if action == "take-back":
        number = actions.take_back(session.workspace, predictions)
        text = f"Taken back; {number} of these predictions will be unlearned."
    else:
        number = actions.perform(session.workspace, action, predictions)
        text = f"Recorded; {number} of these predictions will be learned from."
    facts = {"action": action, "predictions": [*predictions], "learned": number, "user": user}
    return Answer(facts, text if number else text.partition(";")[0] + ".")
