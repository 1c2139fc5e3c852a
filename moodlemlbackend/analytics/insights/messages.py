"""What is written to the people who are told of new predictions."""

from __future__ import annotations

import json
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.features.indicators.calendar import due_events
from moodlemlbackend.analytics.insights import actions
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.insights.reasons import Span, evidence_in, plain_reasons
from moodlemlbackend.analytics.insights.sentences import InsightReason
from moodlemlbackend.analytics.insights.texts import class_label, say
from moodlemlbackend.analytics.notifications.channels import allowed
from moodlemlbackend.analytics.notifications.message import Message, Recipient
from moodlemlbackend.analytics.site.contexts import COURSE, USER
from moodlemlbackend.analytics.site.message_preferences import wanted_processors
from moodlemlbackend.analytics.site.names import format_name, format_samples
from moodlemlbackend.analytics.site.people import (
    ENROLMENTS,
    describe,
    languages,
    module_ids,
    named_users,
    time_zones,
)
from moodlemlbackend.analytics.site.zones import name_of
from moodlemlbackend.dataset.words import probability
from moodlemlbackend.language import current, speaking
from moodlemlbackend.language.dates import Dates

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from moodlemlbackend.analytics.features.evidence import CourseEvidence
    from moodlemlbackend.analytics.insights.reasons import PlainReason
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.site.people import SampleInfo
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    Evidence = Mapping[tuple[int, int, int], CourseEvidence | None]
    """By context, start and end of a range."""

MOST_NAMED = 20
"""Samples that a message names; the others are counted."""

ACTIVITIES_DUE = r"\core_user\analytics\target\upcoming_activities_due"


@dataclass(frozen=True)
class NewPrediction:
    """A prediction that has just been stored; ``reasons`` as :class:`.reasons.InsightReason` has them.

    ``calculations`` is JSON, a value by column.
    """

    id: int
    contextid: int
    sampleid: int
    prediction: float
    score: float
    probability: float | None
    probability_range: tuple[float, float] | None = None
    reasons: Sequence[dict[str, Any]] = ()
    start: int = 0
    end: int = 0
    calculations: str = "{}"

    @property
    def place(self) -> tuple[int, int, int]:
        """The context and the range that it is about."""
        return self.contextid, self.start, self.end


def read_evidence(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    predictions: Iterable[NewPrediction],
    withheld: Collection[int] = (),
) -> Evidence:
    """What the students of each course did in each range about which there are predictions with reasons.

    One query on the logs for each course and range; none in the contexts ``withheld``, about which nobody is notified.
    """
    target = definitions.target(model.target)
    if not target.uses_insights or definitions.analyser(model.target).origin != ENROLMENTS:
        return {}
    now, courses = workspace.clock(), {course.context: course.id for course in site.courses}
    places = {prediction.place for prediction in predictions if prediction.reasons}
    return {
        (contextid, start, end): evidence_in(Span(courses[contextid], start, end, now), site, now, model.indicators)
        for contextid, start, end in sorted(places)
        if contextid in courses and contextid not in withheld
    }


def insights_url(
    settings: AnalyticsSettings, modelid: int | None, contextid: int, courseid: int = 0, *, students: bool = False
) -> str:
    """Where a context's insights, of one model or of all, are read: in our own pages, else the course in Moodle.

    Those about ``students`` are on the course's page.
    """
    of_model = {} if modelid is None else {"model": modelid}
    if settings.pages_url and courseid and students:
        return f"{settings.pages_url}/courses/{courseid}" + (f"?{urlencode(of_model)}" if of_model else "")
    if settings.pages_url:
        return f"{settings.pages_url}/insights?{urlencode({**of_model, 'context': contextid})}"
    return f"{settings.wwwroot}/course/view.php?id={courseid}" if settings.wwwroot and courseid else settings.wwwroot


def prediction_url(settings: AnalyticsSettings, predictionid: int) -> str:
    """Where one insight is read, in our own pages; nothing without them."""
    return f"{settings.pages_url}/insights/{predictionid}" if settings.pages_url else ""


def write_messages(
    workspace: Workspace,
    site: Site,
    model: AnalyticsModel,
    predictions: Sequence[NewPrediction],
    evidence: Evidence | None = None,
) -> list[Message]:
    """Write to everybody who is to be told: of each prediction if it is an analysable's only one, else by context.

    ``evidence`` is that of :func:`read_evidence`; it is read here unless given.
    """
    if not predictions or not definitions.target(model.target).uses_insights:
        return []
    if evidence is None:
        evidence = read_evidence(workspace, site, model, predictions)
    capabilities = Capabilities(site, workspace.clock())
    analyser = definitions.analyser(model.target)
    samples = describe(site, analyser.origin, [prediction.sampleid for prediction in predictions])
    groups: dict[tuple[int, int], list[NewPrediction]] = {}
    for prediction in predictions:
        key = (prediction.contextid, prediction.id if analyser.one_sample_per_analysable else 0)
        groups.setdefault(key, []).append(prediction)
    recipients = {contextid: capabilities.recipients(contextid) for contextid, _ in groups}
    addressees = _recipients(site, {user for users in recipients.values() for user in users})
    language = {user: recipient.language for user, recipient in addressees.items()}
    samples_in = {code: format_samples(samples, code) for code in set(language.values())}
    plain_in = {code: _plain(predictions, samples, evidence, code) for code in set(language.values())}
    processors = wanted_processors(site, addressees, workspace.clock())
    own_groups = capabilities.own_groups(recipients) if analyser.origin == ENROLMENTS else {}
    names = _context_names(site, capabilities, recipients)
    messages = []
    due = _activities_due(workspace, site, model, predictions)
    for (contextid, predictionid), group in groups.items():
        group.sort(key=lambda prediction: (-prediction.prediction, -prediction.score, prediction.id))
        for user in recipients[contextid]:
            seen = own_groups.get((contextid, user))
            shown = group if seen is None else [prediction for prediction in group if prediction.sampleid in seen]
            if user in addressees and shown:
                name, courseid = names[contextid]
                with speaking(language[user]):
                    context = say("site") if name is None else format_name(name, language[user])
                    messages.append(
                        _message(
                            workspace, model, addressees[user], shown, samples_in[language[user]],
                            contextid=contextid, context=context, courseid=courseid, predictionid=predictionid or None,
                            more=due.get(shown[0].sampleid, []), channels=allowed(processors.get(user)),
                            plain=plain_in[language[user]],
                        )
                    )  # fmt: skip
    return messages


def _message(
    workspace: Workspace,
    model: AnalyticsModel,
    recipient: Recipient,
    group: Sequence[NewPrediction],
    samples: dict[int, SampleInfo],
    *,
    contextid: int,
    context: str,
    courseid: int,
    predictionid: int | None,
    more: Sequence[str],
    channels: Sequence[str],
    plain: Mapping[int, Sequence[PlainReason]],
) -> Message:
    settings, students = workspace.settings, definitions.has_past(model.target)
    shown = [] if predictionid else group[:MOST_NAMED]
    lines = [
        *(_line(model, prediction, samples.get(prediction.sampleid), plain[prediction.id]) for prediction in shown),
        *more,
    ]
    if len(group) > len(shown) > 0:
        lines.append(say("more", count=len(group) - len(shown)))
    offered: list[tuple[str, str]] = []
    url = prediction_url(settings, predictionid) if predictionid else ""
    if predictionid:
        links = actions.links(settings.wwwroot, model.target, predictionid, samples.get(group[0].sampleid))
        offered = [(action.label, action.url) for action in links]
        url = url or (offered[0][1] if offered else "")
    else:
        url = insights_url(settings, model.id, contextid, courseid, students=students)
        if url:
            offered = [(say("view") if settings.pages_url else say("view course"), url)]
    greeting, body = say("greeting", name=recipient.first_name), say("body", model.target, context=context)
    in_context = insights_url(settings, None, contextid, courseid, students=students)
    return Message(
        to=recipient,
        modelid=model.id,
        contextid=contextid,
        courseid=courseid,
        subject=say("subject", model.target, context=context),
        text=_text(greeting, body, lines, offered),
        html=_html(greeting, body, lines, offered),
        url=url,
        predictionid=predictionid,
        data={
            "model": {"id": model.id, "name": model.name, "target": model.target},
            "context": {"id": contextid, "name": context, "course": courseid, "url": in_context},
            "body": body,
            "lines": [*more],
            "links": [{"label": label, "url": url} for label, url in offered],
            "predictions": [
                _facts(model, prediction, samples.get(prediction.sampleid), plain[prediction.id])
                for prediction in group
            ],
        },
        channels=channels,
    )


def _activities_due(
    workspace: Workspace, site: Site, model: AnalyticsModel, predictions: Sequence[NewPrediction]
) -> dict[int, list[str]]:
    """What each user has to do in the predicted range, with links, for the target that asks this; by user."""
    if model.target != ACTIVITIES_DUE:
        return {}
    language = languages(site, [prediction.sampleid for prediction in predictions])
    ranges = {prediction.sampleid: (prediction.start, prediction.end) for prediction in predictions}
    due = due_events(site, sorted(ranges), workspace.clock())
    courses = {course.id: course.fullname for course in site.courses}
    places = module_ids(site, (event.course for events in due.values() for event in events))
    wwwroot, zones = workspace.settings.wwwroot, time_zones(site, ranges)
    lines: dict[int, list[str]] = {}
    for user, events in due.items():
        start, end = ranges[user]
        in_range = [event for event in events if start <= event.time <= end]
        for event in in_range[:MOST_NAMED]:
            names = (format_name(name, language[user]) for name in (event.name, courses.get(event.course, "")))
            with speaking(language[user]):
                text = ", ".join(filter(None, (*names, Dates(zones[user]).minute(event.time))))
            place = places.get((event.module, event.instance))
            url = f": {wwwroot}/mod/{event.module}/view.php?id={place}" if wwwroot and place else ""
            lines.setdefault(user, []).append(text + url)
    return lines


def _plain(
    predictions: Sequence[NewPrediction], samples: Mapping[int, SampleInfo], evidence: Evidence, language: str
) -> dict[int, list[PlainReason]]:
    """The reasons for each prediction in a language, by id."""
    plain = {}
    with speaking(language):
        for prediction in predictions:
            reasons = [InsightReason(**reason) for reason in prediction.reasons]
            sample, calculations = samples.get(prediction.sampleid), json.loads(prediction.calculations)
            found = plain_reasons(reasons, calculations, sample.userid if sample else 0, evidence.get(prediction.place))
            plain[prediction.id] = found
    return plain


def _line(
    model: AnalyticsModel, prediction: NewPrediction, sample: SampleInfo | None, plain: Sequence[PlainReason]
) -> str:
    return f"{sample.title if sample else say('unknown')}: {_about(model, prediction, plain)}"


def _about(model: AnalyticsModel, prediction: NewPrediction, plain: Sequence[PlainReason]) -> str:
    """What is predicted, in words, without of whom."""
    text = class_label(model.target, prediction.prediction)
    if prediction.probability is not None:
        text += f", {probability(prediction.probability, prediction.probability_range)}"
    raising = [reason.text for reason in plain if reason.raises]
    return say("with reasons", prediction=text, reasons=". ".join(raising)) if raising else text


def _facts(
    model: AnalyticsModel, prediction: NewPrediction, sample: SampleInfo | None, plain: Sequence[PlainReason]
) -> dict[str, Any]:
    return {
        "id": prediction.id,
        "sample": prediction.sampleid,
        "prediction": prediction.prediction,
        "label": class_label(model.target, prediction.prediction),
        "text": _about(model, prediction, plain),
        "score": prediction.score,
        "probability": prediction.probability,
        "probability_range": prediction.probability_range,
        "user": {"id": sample.userid, "name": sample.title, "email": sample.email}
        if sample and sample.userid
        else None,
        "course": {"id": sample.courseid, "name": sample.course_name} if sample and sample.courseid else None,
        "plain_reasons": [vars(reason) for reason in plain],
        "reasons": list(prediction.reasons),
    }


def _text(greeting: str, body: str, lines: Sequence[str], offered: Sequence[tuple[str, str]]) -> str:
    parts = [greeting, body]
    if lines:
        parts.append("\n".join(f"- {line}" for line in lines))
    parts += [f"{label}: {url}" for label, url in offered]
    return "\n\n".join(parts) + "\n"


def _html(greeting: str, body: str, lines: Sequence[str], offered: Sequence[tuple[str, str]]) -> str:
    parts = [f"<p>{escape(greeting)}</p>", f"<p>{escape(body)}</p>"]
    if lines:
        parts.append("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")
    parts += [f'<p><a href="{escape(url)}">{escape(label)}</a></p>' for label, url in offered]
    begin = f'<!DOCTYPE html>\n<html lang="{current().tag}" dir="{current().direction}"><body>'
    return "\n".join([begin, *parts, "</body></html>\n"])


def _recipients(site: Site, users: set[int]) -> dict[int, Recipient]:
    language, zones = languages(site, users), time_zones(site, users)
    return {
        user: Recipient(
            user, named.first_name, named.full_name, named.email, language[user], name_of(zones[user])
        )
        for user, named in named_users(site, users).items()
    }  # fmt: skip


def _context_names(
    site: Site, capabilities: Capabilities, contexts: dict[int, Any]
) -> dict[int, tuple[str | None, int]]:
    """What each context is called, None for the whole site, and the id of its course, 0 for none."""
    courses = {course.context: course for course in site.courses}
    names: dict[int, tuple[str | None, int]] = {}
    for contextid in contexts:
        context = capabilities.context(contextid)
        course = next((courses[above] for above in (context.path if context else ()) if above in courses), None)
        if context and context.level >= COURSE and course:
            names[contextid] = course.fullname, course.id
        elif context and context.level == USER:
            names[contextid] = "", 0
        else:
            names[contextid] = None, 0
    return names
