"""Several messages to one person as one e-mail: by course, each student named once with all that is new.

The sentences are those of the messages; a model that has written about the same student again counts once, with what
it wrote last.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from moodlemlbackend.analytics.notifications.texts import say
from moodlemlbackend.language import ENGLISH, current, speaking

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from moodlemlbackend.analytics.db.notifications import Delivery
    from moodlemlbackend.settings.analytics import AnalyticsSettings

MOST_NAMED = 20
MOST_NAMED_IN_ALL = 200
"""Students that a course, and a whole e-mail, names; the others are counted."""

_PLACES_IN_SUBJECT = 3


class Digest(NamedTuple):
    """What an e-mail says."""

    subject: str
    text: str
    html: str


@dataclass
class _Section:
    """What is new in one place, or about the reader: ``items`` are names with sentences, ``rest`` how many more."""

    title: str
    about_others: bool
    body: str = ""
    items: list[tuple[str, list[str]]] = field(default_factory=list)
    rest: int = 0
    lines: list[str] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)


class _Message(NamedTuple):
    """A message that was written, and what its ``data`` hold."""

    delivery: Delivery
    data: dict[str, Any]


def compose(
    settings: AnalyticsSettings, deliveries: Sequence[Delivery], concerned: Mapping[int, Collection[int]]
) -> Digest:
    """Write one e-mail of messages to one person, oldest first, in the language of the latest; a single one as it is.

    ``concerned`` has, by delivery, the ids of the predictions that are still to be reported; all where one is missing.
    """
    messages = [_Message(delivery, json.loads(delivery.data)) for delivery in deliveries]
    if len(messages) == 1 and _whole(messages[0], concerned):
        [delivery] = deliveries
        return Digest(delivery.subject, delivery.fullmessage, delivery.fullmessagehtml)
    reader = messages[-1].data.get("recipient", {})
    with speaking(reader.get("language", ENGLISH)):
        sections = _sections(settings, messages, concerned)
        greeting, body = say("greeting", name=reader.get("first_name", "")), say("digest body")
        footer = (say("digest change"), f"{settings.pages_url}/notifications") if settings.pages_url else None
        return Digest(
            _subject(sections), _text(greeting, body, sections, footer), _html(greeting, body, sections, footer)
        )


def _whole(message: _Message, concerned: Mapping[int, Collection[int]]) -> bool:
    """Whether all that a message says is still to be reported."""
    return all(_concerns(message, prediction, concerned) for prediction in message.data.get("predictions", []))


def _concerns(message: _Message, prediction: Mapping[str, Any], concerned: Mapping[int, Collection[int]]) -> bool:
    return prediction["id"] in concerned.get(message.delivery.delivery, (prediction["id"],))


def _sections(
    settings: AnalyticsSettings, messages: Sequence[_Message], concerned: Mapping[int, Collection[int]]
) -> list[_Section]:
    """What is about the reader first, then place by place."""
    by_place: dict[int, list[_Message]] = {}
    single: dict[object, _Section] = {}
    for message in messages:
        if message.delivery.predictionid is None and "predictions" in message.data:
            by_place.setdefault(message.data["context"]["id"], []).append(message)
        else:
            single.pop(_topic(message), None)  # the latest comes last, and counts
            single[_topic(message)] = _single(message)
    room = MOST_NAMED_IN_ALL
    places = []
    for of_place in sorted(by_place.values(), key=lambda of_place: str(of_place[-1].data["context"]["name"])):
        section = _place(settings, of_place, concerned, min(MOST_NAMED, room))
        room -= len(section.items)
        places.append(section)
    return [*single.values(), *places]


def _topic(message: _Message) -> object:
    """What messages have in common of which only the latest counts."""
    data = message.data
    samples = [prediction["sample"] for prediction in data.get("predictions", [])]
    return (data["model"]["id"], data["context"]["id"], *samples) if samples else message.delivery.id


def _single(message: _Message) -> _Section:
    """A message about one prediction, or of which nothing more is known, as it was written."""
    delivery, data = message
    links = [(link["label"], link["url"]) for link in data.get("links", [])]
    if not links and delivery.contexturl:
        links = [(say("view"), delivery.contexturl)]
    body = data.get("body", "")
    return _Section(
        delivery.subject, about_others=False, body="" if body.rstrip(".") == delivery.subject else body,
        lines=list(data.get("lines", [])), links=links,
    )  # fmt: skip


def _place(
    settings: AnalyticsSettings, messages: Sequence[_Message], concerned: Mapping[int, Collection[int]], most: int
) -> _Section:
    """What is new in one context: those with the highest probability first."""
    latest: dict[tuple[object, int], dict[str, Any]] = {}
    for message in messages:
        for prediction in message.data["predictions"]:
            if _concerns(message, prediction, concerned):
                latest[_subject_of(prediction), message.data["model"]["id"]] = prediction
    by_subject: dict[object, list[dict[str, Any]]] = {}
    for (subject, _), prediction in sorted(latest.items(), key=lambda item: (-_probability(item[1]), item[0][1])):
        by_subject.setdefault(subject, []).append(prediction)
    order = sorted(by_subject.values(), key=lambda of: (-max(map(_probability, of)), -len(of), _name(of[0])))
    items = [(_name(of[0]), [prediction.get("text", prediction["label"]) for prediction in of]) for of in order[:most]]
    last = messages[-1]
    of_one_model = len({message.data["model"]["id"] for message in messages}) == 1
    url = last.delivery.contexturl if of_one_model else _url(messages)
    label = say("view") if settings.pages_url else say("view course")
    return _Section(
        last.data["context"]["name"], about_others=True, items=items, rest=len(order) - len(items),
        links=[(label, url)] if url else [],
    )  # fmt: skip


def _url(messages: Sequence[_Message]) -> str:
    """Where the insights of several models are read: where those with a probability are, which has the alerts, too."""
    learned = [message for message in messages if any(map(_probability, message.data["predictions"]))]
    last = (learned or messages)[-1]
    return str(last.data["context"].get("url", last.delivery.contexturl))


def _subject_of(prediction: Mapping[str, Any]) -> object:
    """The person or course that a prediction is about, or else its sample."""
    for kind in ("user", "course"):
        if prediction.get(kind):
            return kind, prediction[kind]["id"]
    return "sample", prediction["sample"]


def _name(prediction: Mapping[str, Any]) -> str:
    named = prediction.get("user") or prediction.get("course") or {}
    return str(named.get("name") or say("unknown"))


def _probability(prediction: Mapping[str, Any]) -> float:
    return float(prediction.get("probability") or 0.0)


def _subject(sections: Sequence[_Section]) -> str:
    places = [section.title for section in sections if section.about_others]
    if not places:
        return sections[0].title
    shown = ", ".join(places[:_PLACES_IN_SUBJECT])
    more = len(sections) - min(len(places), _PLACES_IN_SUBJECT)
    return say("digest subject more", places=shown, count=more) if more else say("digest subject", places=shown)


def _text(greeting: str, body: str, sections: Iterable[_Section], footer: tuple[str, str] | None) -> str:
    parts = [greeting, body]
    for section in sections:
        parts.append(f"{section.title}\n{'-' * len(section.title)}")
        if section.body:
            parts.append(section.body)
        lines = [f"- {say('digest item', name=name, texts=' · '.join(texts))}" for name, texts in section.items]
        lines += [f"- {line}" for line in section.lines]
        if section.rest:
            lines.append(f"- {say('more', count=section.rest)}")
        if lines:
            parts.append("\n".join(lines))
        parts += [f"{label}: {url}" for label, url in section.links]
    if footer:
        parts.append(f"{footer[0]}: {footer[1]}")
    return "\n\n".join(parts) + "\n"


def _html(greeting: str, body: str, sections: Iterable[_Section], footer: tuple[str, str] | None) -> str:
    parts = [f"<p>{escape(greeting)}</p>", f"<p>{escape(body)}</p>"]
    for section in sections:
        parts.append(f"<h2>{escape(section.title)}</h2>")
        if section.body:
            parts.append(f"<p>{escape(section.body)}</p>")
        lines = [
            say("digest item", name=f"<strong>{escape(name)}</strong>", texts=escape(" · ".join(texts)))
            for name, texts in section.items
        ]
        lines += [escape(line) for line in section.lines]
        if section.rest:
            lines.append(escape(say("more", count=section.rest)))
        if lines:
            parts.append("<ul>" + "".join(f"<li>{line}</li>" for line in lines) + "</ul>")
        parts += [f'<p><a href="{escape(url)}">{escape(label)}</a></p>' for label, url in section.links]
    if footer:
        parts.append(f'<p><a href="{escape(footer[1])}">{escape(footer[0])}</a></p>')
    begin = f'<!DOCTYPE html>\n<html lang="{current().tag}" dir="{current().direction}"><body>'
    return "\n".join([begin, *parts, "</body></html>\n"])
