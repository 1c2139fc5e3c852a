"""What people can do about an insight: go somewhere in Moodle, message the student, or say what they think of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import feedback, predictions
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.targets.target import Action, Tone
from moodlemlbackend.analytics.insights.texts import known, say
from moodlemlbackend.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.db.predictions import PredictionRow
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site.people import SampleInfo
    from moodlemlbackend.analytics.workspace import Workspace

HIDING = frozenset({"fixed", "notuseful", "useful", "notapplicable", "incorrectlyflagged"})
"""Who has done one of these no longer sees the prediction among the insights."""

ADJUSTING = frozenset({"notuseful", "incorrectlyflagged"})
"""These have the model adjusted."""

ALIASES = {"acknowledge": "fixed", "not-useful": "notuseful", "not-applicable": "notapplicable"}
"""Names for people."""

COURSE = Action("viewcourse", "view", url="/course/view.php?id={course}")
"""Offered for every sample that belongs to a course."""

_MESSAGE, _DETAILS = "studentmessage", "predictiondetails"
_TONES = {
    "fixed": Tone.POSITIVE, "useful": Tone.POSITIVE, "notuseful": Tone.NEGATIVE, "incorrectlyflagged": Tone.NEGATIVE,
}  # fmt: skip


@dataclass(frozen=True)
class Offered:
    """An action that a person can take: Moodle's name, what it is called, its tone, and where it leads, if anywhere.

    ``adjusts`` says whether the model learns from it.
    """

    name: str
    label: str
    tone: Tone
    url: str = ""
    adjusts: bool = False


def judgements(target: str) -> list[Offered]:
    """What can be said of predictions of a target, of several at once, too."""
    offered = [_offered(action) for action in definitions.target(target).bulk_actions if action.name in HIDING]
    learns = _learns_from_feedback(target)
    return [replace(action, adjusts=learns and action.name in ADJUSTING) for action in offered]


def links(wwwroot: str, target: str, predictionid: int, sample: SampleInfo | None) -> list[Offered]:
    """Where to look further: in Moodle, if its address is set, and the mail program for a message to a student."""
    if sample is None:
        return []
    chosen = definitions.target(target)
    offered = []
    if any(action.name == _MESSAGE for action in chosen.bulk_actions) and sample.email:
        offered.append(Offered(_MESSAGE, say(f"action {_MESSAGE}"), Tone.POSITIVE, mail_link([sample])))
    actions = chosen.actions
    if sample.courseid and all(action.name != COURSE.name for action in actions):
        actions = (*actions, COURSE)
    for action in actions if wwwroot else ():
        place = action.url.format(prediction=predictionid, user=sample.userid, course=sample.courseid)
        offered.append(_offered(action, f"{wwwroot}{place}"))
    return offered


def mail_link(samples: Sequence[SampleInfo]) -> str:
    """A link that opens the teacher's mail program, to write to students of a course; they do not see each other."""
    addresses = [sample.email for sample in samples if sample.email]
    subject = say("message subject", course=samples[0].course_name)
    greeting = say("message greeting", name=samples[0].first_name) + "\n\n" if len(addresses) == 1 else ""
    return mailto(addresses, subject, greeting)


def mailto(addresses: Sequence[str], subject: str, body: str = "") -> str:
    """A link that opens a mail program with a message, to one address or to several that do not see each other."""
    listed = ",".join(quote(address, safe="@") for address in addresses)
    to = f"{listed}?" if len(addresses) == 1 else f"?bcc={listed}&"
    return f"mailto:{to}subject={quote(subject)}{f'&body={quote(body)}' if body else ''}"


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
            row = predictions.find(connection, predictionid)
            if row is None:
                raise UsageError(f"There is no prediction {predictionid}; see moodlemlbackend insights list.")
            model = models.get(connection, row.modelid)
            if not model.enabled:
                raise UsageError(f"The model {model.id} of prediction {predictionid} is disabled.")
            action = _resolve(model, name)
            predictions.act(connection, predictionid, workspace.userid, action, now)
            if action in ADJUSTING:
                learned += _mark(connection, workspace, model, row)
    return learned


def changes_a_model_first(workspace: Workspace, name: str, predictionids: Collection[int]) -> bool:
    """Whether a model learns from an action, and did so from none of the workspace's user before."""
    with workspace.store.read() as connection:
        rows = [predictions.find(connection, predictionid) for predictionid in predictionids]
        concerned = models.by_id(connection, {row.modelid for row in rows if row})
        learning = [model for model in concerned.values() if _learns_from_feedback(model.target)]
        adjusting = any(_resolve(model, name) in ADJUSTING for model in learning)
        return adjusting and not feedback.has_marked(connection, workspace.userid)


def is_undone(name: str) -> bool:
    """Whether :func:`take_back` undoes an action, by the name that people or Moodle give it."""
    return ALIASES.get(name, name) in HIDING


def take_back(workspace: Workspace, predictionids: Iterable[int], action: str = "") -> int:
    """Undo what the workspace's user has said of predictions, one action or all.

    Returns how many marks of "not useful" are gone.
    """
    reverted, undone = 0, HIDING & {action} if action else HIDING
    with workspace.store.write() as connection:
        for predictionid in dict.fromkeys(predictionids):
            predictions.take_back(connection, predictionid, workspace.userid, undone)
            if not predictions.was_done(connection, predictionid, ADJUSTING):
                reverted += feedback.revert(connection, predictionid, workspace.clock())
    return reverted


def _mark(connection: Connection, workspace: Workspace, model: AnalyticsModel, prediction: PredictionRow) -> bool:
    """Have a prediction learned as of the other class; False when nothing is to be learned from it.

    That is so of static models, of targets without exactly one other class, and of what has been marked before.
    """
    others = [label for label in definitions.classes(model.target) if label != prediction.prediction]
    if not _learns_from_feedback(model.target) or len(others) != 1:
        return False
    weight = workspace.settings.feedback_weight
    return feedback.mark(
        connection, prediction, label=others[0], weight=weight, userid=workspace.userid, now=workspace.clock()
    )


def _learns_from_feedback(target: str) -> bool:
    """Whether models of a target learn a prediction as of its other class."""
    return not definitions.is_static(target) and len(definitions.classes(target)) == 2


def _offered(action: Action, url: str = "") -> Offered:
    name = f"action {action.name}"
    return Offered(action.name, say(name) if known(name) else action.name, action.tone, url)


def _resolve(model: AnalyticsModel, name: str) -> str:
    """Moodle's name of an action of a model's target; one of the same tone is as good, for names differ."""
    chosen = definitions.target(model.target)
    wanted = ALIASES.get(name, name)
    offered = {action.name: action for action in (*chosen.bulk_actions, *chosen.actions, COURSE)}
    if wanted in offered or wanted == _DETAILS:
        return wanted
    tone = _TONES.get(wanted)
    same = [action for action in judgements(model.target) if action.tone is tone]
    if not same:
        choices = ", ".join([*(action.name for action in judgements(model.target)), *ALIASES])
        raise UsageError(f"Predictions of model {model.id} have no action {name!r}; choose one of {choices}.")
    return same[0].name
