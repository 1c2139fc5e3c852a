"""What people can do about an insight: go somewhere in Moodle, message the student, or say what they think of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from sqlalchemy import select

from moodlemlbackend.analytics import definitions, feedback, models
from moodlemlbackend.analytics.insights.texts import say
from moodlemlbackend.analytics.store.schema import PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from moodlemlbackend.analytics.insights.samples import SampleInfo
    from moodlemlbackend.analytics.models import Model
    from moodlemlbackend.analytics.workspace import Workspace

POSITIVE, NEUTRAL, NEGATIVE = "positive", "neutral", "negative"

FIXED, USEFUL, NOT_USEFUL = "fixed", "useful", "notuseful"
NOT_APPLICABLE, INCORRECTLY_FLAGGED = "notapplicable", "incorrectlyflagged"

HIDING = (FIXED, NOT_USEFUL, USEFUL, NOT_APPLICABLE, INCORRECTLY_FLAGGED)
"""Who has done one of these no longer sees the prediction among the insights."""

ADJUSTING = (NOT_USEFUL, INCORRECTLY_FLAGGED)
"""These have the model adjusted."""

_ALIASES = {"acknowledge": FIXED, "not-useful": NOT_USEFUL, "not-applicable": NOT_APPLICABLE}


@dataclass(frozen=True)
class Action:
    """An action: Moodle's name, what it is called, how it judges the prediction, and where it leads, if anywhere."""

    name: str
    label: str
    judges: str
    url: str = ""


def judgements(target: str) -> list[Action]:
    """What can be said of predictions of a target, of several at once, too."""
    if definitions.one_sample_per_analysable(target):
        offered = ((USEFUL, POSITIVE), (NOT_USEFUL, NEGATIVE))
    else:
        offered = ((FIXED, POSITIVE), (NOT_APPLICABLE, NEUTRAL), (INCORRECTLY_FLAGGED, NEGATIVE))
    return [Action(name, say(f"action {name}"), judges) for name, judges in offered]


def links(wwwroot: str, target: str, sample: SampleInfo | None) -> list[Action]:
    """Where to look further, in Moodle; nothing when its address is not set or the sample no longer exists."""
    if sample is None:
        return []
    found: list[tuple[str, str]] = []
    if sample.origin == "user_enrolments":
        if sample.email:
            found.append(("studentmessage", mail_link([sample], say("message subject", course=sample.course_name))))
        query = urlencode({"id": sample.userid, "course": sample.courseid, "mode": "outline"})
        found.append(("viewoutlinereport", f"{wwwroot}/report/outline/user.php?{query}"))
        found.append(("viewcourse", f"{wwwroot}/course/view.php?id={sample.courseid}"))
    elif sample.origin == "course":
        found.append(("viewcourse", f"{wwwroot}/course/view.php?id={sample.courseid}"))
        found.append(("viewparticipants", f"{wwwroot}/user/index.php?id={sample.courseid}"))
    elif definitions.short_name(target) == "upcoming_activities_due":
        found.append(("viewupcoming", f"{wwwroot}/calendar/view.php?view=upcoming&lookahead=30"))
    return [
        Action(name, say(f"action {name}"), POSITIVE, url)
        for name, url in found
        if wwwroot or not url.startswith("/")
    ]  # fmt: skip


def mail_link(samples: Sequence[SampleInfo], subject: str) -> str:
    """A link that opens the teacher's mail program with a message to students, who do not see each other."""
    addresses = [sample.email for sample in samples if sample.email]
    if len(addresses) == 1:
        body = quote(say("message greeting", name=samples[0].first_name) + "\n\n")
        return f"mailto:{quote(addresses[0], safe='@')}?subject={quote(subject)}&body={body}"
    return f"mailto:?bcc={','.join(quote(address, safe='@') for address in addresses)}&subject={quote(subject)}"


def perform(workspace: Workspace, name: str, predictionids: Iterable[int]) -> int:
    """Record that the workspace's user has done something about predictions; returns how many are to be learned from.

    Raises
    ------
    UsageError
        There is no such prediction, its model is disabled, or its target has no such action.
    """
    now, learned = workspace.clock(), 0
    with workspace.store.write() as connection:
        for predictionid in dict.fromkeys(predictionids):
            row = connection.execute(select(PREDICTIONS).where(PREDICTIONS.c.id == predictionid)).one_or_none()
            if row is None:
                raise UsageError(f"There is no prediction {predictionid}; see moodlemlbackend insights list.")
            model = models.get(connection, row.modelid)
            if not model.enabled:
                raise UsageError(f"The model {model.id} of prediction {predictionid} is disabled.")
            action = _resolve(model, name)
            values = {
                "predictionid": predictionid, "userid": workspace.userid, "actionname": action, "timecreated": now,
            }  # fmt: skip
            connection.execute(PREDICTION_ACTIONS.insert().values(values))
            if action in ADJUSTING:
                learned += feedback.record(connection, workspace, model, row)
    return learned


def take_back(workspace: Workspace, predictionids: Iterable[int]) -> int:
    """Undo what the workspace's user has said of predictions; returns how many marks of "not useful" are gone."""
    reverted = 0
    with workspace.store.write() as connection:
        for predictionid in dict.fromkeys(predictionids):
            said = (
                PREDICTION_ACTIONS.c.predictionid == predictionid,
                PREDICTION_ACTIONS.c.userid == workspace.userid,
                PREDICTION_ACTIONS.c.actionname.in_(HIDING),
            )
            connection.execute(PREDICTION_ACTIONS.delete().where(*said))
            still = (PREDICTION_ACTIONS.c.predictionid == predictionid, PREDICTION_ACTIONS.c.actionname.in_(ADJUSTING))
            if not connection.execute(select(PREDICTION_ACTIONS.c.id).where(*still)).first():
                reverted += feedback.revert(connection, workspace, predictionid)
    return reverted


def _resolve(model: Model, name: str) -> str:
    """Moodle's name of an action of a model's target; "not useful" is whichever of them judges so."""
    offered = {action.name: action for action in judgements(model.target)}
    wanted = _ALIASES.get(name, name)
    if wanted not in offered and wanted in ADJUSTING:
        wanted = next(action.name for action in offered.values() if action.judges == NEGATIVE)
    if wanted not in offered and wanted in (FIXED, USEFUL):
        wanted = next(action.name for action in offered.values() if action.judges == POSITIVE)
    if wanted not in offered and wanted not in ("predictiondetails", "viewoutlinereport", "viewcourse",
                                                "viewparticipants", "viewupcoming", "studentmessage"):  # fmt: skip
        known = ", ".join([*offered, *_ALIASES])
        raise UsageError(f"Predictions of model {model.id} have no action {name!r}; choose one of {known}.")
    return wanted
