"""The courses of the site: for managers."""

from __future__ import annotations

ENGLISH = {
    "courses": "Courses with students at risk",
    "courses intro": (
        "This page shows in which courses “{model}” sees students at risk, and whether teachers have acted on it. "
        "Open a course to see all its students."
    ),
    "courses show": "Courses",
    "courses show on": "in progress",
    "courses show withheld": "the model doesn't fit",
    "courses show over": "finished",
    "courses search": "Name contains",
    "courses sieve": "Show",
    "courses number": "{count} courses.",
    "courses number one": "One course.",
    "courses totals": (
        "When last predicted, {high} of {students} students were at high risk, including those who have left since."
    ),
    "courses withheld": "The model doesn't fit {count} courses; their teachers were not notified.",
    "courses withheld one": "The model doesn't fit one course; its teachers were not notified.",
    "courses not fit": "The model doesn't fit this course, probably because {reason}.",
    "courses at risk": "{high} of {students}",
    "courses load": "{number} open per teacher",
    "courses pages": "Pages of courses",
    "courses what": "What the columns mean",
    "courses bands mean": (
        "The bar shows the share of students at high risk (dark), medium risk and low risk (light), as last "
        "predicted. Students are at high risk if their last prediction is high enough for an insight. An insight from "
        "an earlier prediction stays even if the risk has fallen since."
    ),
    "courses contacted means": (
        "“Contacted” counts students at high risk whom a teacher has written to or marked as contacted. “Open” counts "
        "those whom nobody has contacted, snoozed or resolved yet."
    ),
    "courses withheld means": (
        "If a model flags more than half of a course's students, and at least 10 of them, it probably doesn't fit the "
        "course. Nobody is notified about such a course."
    ),
    "courses none": "There are no such courses.",
    "courses none how": "Choose other courses above, or wait until the model has made predictions.",
    "courses no models": "No model that finds students at risk is enabled and trained.",
    "courses no models how": "Enable and train a model first.",
    "courses no model": "There is no such model.",
    "column at risk": "At high risk",
    "column share": "Share",
    "column contacted": "Contacted",
    "column open": "Open",
    "column teachers": "Teachers",
    "column predicted": "Last predicted",
}
