"""English texts of e-mails that gather several messages, in one place for translation."""

from __future__ import annotations

from moodlemlbackend.language.texts import Texts

ENGLISH = {
    "digest subject": "New insights: {places}",
    "digest subject more": "New insights: {places} and {count} more",
    "digest body": "Here is everything new for you, in one e-mail.",
    "digest change": "Choose how often you get these e-mails",
    "digest item": "{name}: {texts}",
    "greeting": "Hello {name},",
    "more": "and {count} more",
    "unknown": "(deleted)",
    "view": "See all insights",
    "view course": "Open the course in Moodle",
}

say = Texts(ENGLISH).say
