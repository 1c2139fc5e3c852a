"""Who would be notified about what: for managers."""

from __future__ import annotations

ENGLISH = {
    "recipients": "Who would be notified",
    "recipients intro": (
        "This page shows who gets messages about each enabled model's newest predictions, meaning those from the last "
        "run in which the model made any. The next run notifies people about its own predictions only."
    ),
    "recipients dry run": "To see what the next run would send, use: moodlemlbackend tasks predict --dry-run",
    "recipients counts": "People: {people}. Students among them: {students}. Messages: {messages}.",
    "recipients none": "Nobody would get a message about the newest predictions.",
    "recipients none how": (
        "Either the enabled models have not predicted anything yet, or nobody is allowed to see their predictions."
    ),
    "recipients pages": "Pages of recipients",
    "notifications off": "Notifications are off: nobody is notified.",
    "notifications how": (
        "To switch them on, write notifications = on in the [analytics] section of the settings file."
    ),
    "notifications on": "Notifications are on: people are notified about new predictions.",
    "notifications since": "Notifications have been on since {time}. Nobody is notified about earlier predictions.",
    "column role": "Role",
    "column people": "People",
    "column messages": "Messages",
    "column channels": "Channels",
    "role student": "student",
    "role teacher": "teacher",
    "role manager": "manager",
    "way kept": "kept",
    "way email": "e-mail",
    "way webhook": "webhook",
    "people more": "{names} and {count} more",
    "about themselves": "about themselves",
    "about the site": "the whole site",
    "fact notifies": "Notifies",
    "notifies students": "students, about themselves",
    "notifies teachers": "teachers",
    "notifies managers": "managers",
    "notifies nobody": "nobody",
}
