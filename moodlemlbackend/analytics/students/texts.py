"""What is written to students: the templates that are there from the start, and who a message is from."""

from __future__ import annotations

from moodlemlbackend.language.texts import Texts

ENGLISH = {
    "template unseen name": "Not seen for a while",
    "template unseen subject": "How are you getting on in {course}?",
    "template unseen text": (
        "Hello {name},\n\n"
        "I haven't seen you in {course} for a while, and I hope you are well. Is anything making it hard to take part "
        "at the moment? You are welcome back at any time, and together we will find a way for you to catch up.\n\n"
        "If you would like to talk, just write to me.\n\n"
        "Best wishes\n"
        "{teacher}"
    ),
    "template missing name": "Missing work",
    "template missing subject": "Your work in {course}",
    "template missing text": (
        "Hello {name},\n\n"
        "These activities in {course} are still waiting for you:\n\n"
        "{due}\n\n"
        "Do you need more time, or is something unclear? Tell me, and we will find a way. Handing in something "
        "unfinished is better than handing in nothing.\n\n"
        "Best wishes\n"
        "{teacher}"
    ),
    "template question name": "A friendly question",
    "template question subject": "How is {course} going?",
    "template question text": (
        "Hello {name},\n\n"
        "How is {course} going for you? What comes easily, and where could you use some help? A short answer is "
        "enough.\n\n"
        "Best wishes\n"
        "{teacher}"
    ),
    "activity due": "– {name} ({day})",
    "activities due more": "– and {count} more",
    "activities due more one": "– and one more",
    "from teacher": "{teacher} wrote this to you as your teacher in {course}. To answer {teacher}, open {url}",
}

_TEXTS = Texts(ENGLISH)

say = _TEXTS.say
