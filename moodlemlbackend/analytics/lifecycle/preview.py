"""Who would be notified about what, and how: of a dry run, or of the newest predictions in the store."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import predictions
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.insights.messages import NewPrediction, write_messages
from moodlemlbackend.analytics.lifecycle import most_flagged
from moodlemlbackend.analytics.lifecycle.prediction import rehearse
from moodlemlbackend.analytics.notifications import outbox
from moodlemlbackend.analytics.notifications.channels import EMAIL
from moodlemlbackend.analytics.notifications.mailing import upcoming
from moodlemlbackend.analytics.site.names import format_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from moodlemlbackend.analytics.lifecycle.analysing import Shown
    from moodlemlbackend.analytics.lifecycle.run_result import RunResult
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.notifications.mailing import Upcoming
    from moodlemlbackend.analytics.notifications.message import Message
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

_MOST_NAMED = 3
_ROLES = {"teachers": "teacher", "students": "student", "managers": "manager"}


@dataclass(frozen=True)
class PlannedMessage:
    """A message that would be written: to whom, as what, about how many predictions, through which channels.

    ``course`` is empty where the message is not about one course; then ``courseid`` is 0.
    """

    modelid: int
    model: str
    courseid: int
    course: str
    userid: int
    name: str
    role: str
    predictions: int
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Recipients:
    """Those who would get the same kind of message: in a course, or each about themselves."""

    modelid: int
    model: str
    course: str
    role: str
    names: Sequence[str]
    messages: int
    channels: Sequence[str]

    @property
    def shown(self) -> Sequence[str]:
        """Some names, or all where only one more would be left out."""
        return self.names if len(self.names) <= _MOST_NAMED + 1 else self.names[:_MOST_NAMED]

    @property
    def more(self) -> int:
        """How many names are left out."""
        return len(self.names) - len(self.shown)

    @property
    def people(self) -> str:
        """Some names, and how many more there are."""
        return ", ".join(self.shown) + (f" and {self.more} more" if self.more else "")


@dataclass(frozen=True)
class Preview:
    """The messages that would be written."""

    messages: Sequence[PlannedMessage] = field(default_factory=list)

    @property
    def people(self) -> int:
        """How many would be notified."""
        return len({message.userid for message in self.messages})

    @property
    def students(self) -> int:
        """How many of them about themselves."""
        return len({message.userid for message in self.messages if message.role == "student"})

    def by_model(self) -> dict[str, list[Recipients]]:
        """The people of each model, by course and role."""
        groups: dict[str, list[Recipients]] = {}
        for recipients in self.recipients():
            groups.setdefault(f"{recipients.model} (model {recipients.modelid})", []).append(recipients)
        return groups

    def recipients(self) -> list[Recipients]:
        """The people, by model, course and role."""
        groups: dict[tuple[int, int, str], list[PlannedMessage]] = {}
        for message in self.messages:
            groups.setdefault((message.modelid, message.courseid, message.role), []).append(message)
        return [
            Recipients(
                group[0].modelid, group[0].model, group[0].course, group[0].role,
                names=[*{message.userid: message.name for message in group}.values()], messages=len(group),
                channels=[*dict.fromkeys(channel for message in group for channel in message.channels)],
            )
            for group in groups.values()
        ]  # fmt: skip

    def sentence(self, *, on: bool) -> str:
        """The counts."""
        condition = "" if on else "If notifications were on, "
        if not self.messages:
            return "Nobody would get a message." if on else "Nobody would get a message, even if notifications were on."
        people = "1 person" if self.people == 1 else f"{self.people} people"
        messages = "1 message" if len(self.messages) == 1 else f"{len(self.messages)} messages"
        be = "is a student" if self.students == 1 else "are students"
        return f"{condition}{people} would get {messages}; {self.students} of them {be}."


def planned(
    workspace: Workspace, site: Site, model: AnalyticsModel, messages: Iterable[Message]
) -> list[PlannedMessage]:
    """What would become of messages, without those that nobody would get."""
    courses = {course.id: format_name(course.fullname, site.language) for course in site.courses}
    role = _ROLES.get(definitions.audience(model.target), "")
    with workspace.store.read() as connection:
        return [
            PlannedMessage(
                model.id, model.name, message.courseid, courses.get(message.courseid, ""), message.to.id,
                message.to.full_name, role, len(message.data["predictions"]), tuple(channels),
            )
            for message, channels in outbox.addressed(connection, workspace, messages)
        ]  # fmt: skip


def mails(workspace: Workspace, site: Site, preview: Preview) -> list[Upcoming]:
    """The e-mails that would be sent, each person's at their time, with what waits of earlier runs."""
    by_mail = Counter(message.userid for message in preview.messages if EMAIL in message.channels)
    return upcoming(workspace, site, by_mail)


def rehearse_model(
    workspace: Workspace, site: Site, modelid: int, *, shown: Shown | None = None
) -> tuple[RunResult, Preview]:
    """What a prediction would give now, and who would be notified; as :func:`.prediction.rehearse`."""
    run_result, messages = rehearse(workspace, site, modelid, shown=shown)
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
    return run_result, Preview(planned(workspace, site, model, messages))


def newest(workspace: Workspace, site: Site) -> Preview:
    """Who would be notified about the predictions of each enabled model's last run that made any."""
    now, made_by = workspace.clock(), []
    with workspace.store.read() as connection:
        for model in models.listed(connection, enabled=True, trained=True):
            withheld = set()
            if not workspace.settings.notify_when_most_flagged:
                withheld = {course.context for course in most_flagged.listed(connection, model.id, now)}
            rows = [row for row in predictions.newest(connection, model.id) if row.contextid not in withheld]
            made_by.append((model, [_as_new(row) for row in rows]))
    messages = [
        message
        for model, made in made_by
        for message in planned(workspace, site, model, write_messages(workspace, site, model, made))
    ]
    return Preview(messages)


def as_facts(preview: Preview) -> dict[str, Any]:
    """As JSON can hold it."""
    return {
        "people": preview.people,
        "students": preview.students,
        "messages": [vars(message) for message in preview.messages],
    }


def _as_new(row: predictions.PredictionRow) -> NewPrediction:
    return NewPrediction(
        row.id, row.contextid, row.sampleid, row.prediction, row.predictionscore, None,
        start=row.timestart or 0, end=row.timeend or 0, calculations=row.calculations,
    )  # fmt: skip
