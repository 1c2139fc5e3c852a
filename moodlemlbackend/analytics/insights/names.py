"""What indicators, modules and analysis intervals are called."""

from __future__ import annotations

import re

from moodlemlbackend.dataset import words
from moodlemlbackend.dataset.columns import TIME
from moodlemlbackend.language.texts import Texts

_OF_MODULE = re.compile(r"\\mod_(\w+)\\analytics\\indicator\\(cognitive_depth|social_breadth)", re.ASCII)
_INTERVAL = "\\core\\analytics\\time_splitting\\"

ENGLISH = {
    # Indicators.
    "indicator \\core\\analytics\\indicator\\any_access_after_end": "visited after the course ended",
    "indicator \\core\\analytics\\indicator\\any_access_before_start": "visited before the course began",
    "indicator \\core\\analytics\\indicator\\any_course_access": "visited the course",
    "indicator \\core\\analytics\\indicator\\any_write_action": "posted or submitted something on the site",
    "indicator \\core\\analytics\\indicator\\any_write_action_in_course": "posted or submitted something in the course",
    "indicator \\core\\analytics\\indicator\\read_actions": "reading in the course",
    "indicator \\core_course\\analytics\\indicator\\activities_due": "activities are due",
    "indicator \\core_course\\analytics\\indicator\\completion_enabled": "the course tracks completion",
    "indicator \\core_course\\analytics\\indicator\\no_student": "the course has students",
    "indicator \\core_course\\analytics\\indicator\\no_teacher": "the course has teachers",
    "indicator \\core_course\\analytics\\indicator\\potential_cognitive_depth": "work the course offers",
    "indicator \\core_course\\analytics\\indicator\\potential_social_breadth": "interaction the course offers",
    "indicator \\core_user\\analytics\\indicator\\user_profile_set": "completed their profile",
    "indicator \\core_user\\analytics\\indicator\\user_track_forums": "tracks unread forum posts",
    "indicator cognitive_depth": "work on {module}",
    "indicator social_breadth": "interaction with others in {module}",
    "module assign": "assignments",
    "module bigbluebuttonbn": "video conferences",
    "module book": "books",
    "module chat": "chats",
    "module choice": "choices",
    "module data": "databases",
    "module feedback": "feedback forms",
    "module folder": "folders",
    "module forum": "forums",
    "module glossary": "glossaries",
    "module imscp": "IMS packages",
    "module label": "labels",
    "module lesson": "lessons",
    "module lti": "external tools",
    "module page": "pages",
    "module quiz": "quizzes",
    "module resource": "files",
    "module scorm": "SCORM packages",
    "module survey": "surveys",
    "module url": "links",
    "module wiki": "wikis",
    "module workshop": "workshops",
    # Analysis intervals.
    "no interval": "none chosen",
    f"interval {_INTERVAL}single_range": "the whole course",
    f"interval {_INTERVAL}no_splitting": "all activity, at any time",
    f"interval {_INTERVAL}quarters": "quarters of the course",
    f"interval {_INTERVAL}quarters_accum": "quarters of the course, each including the ones before",
    f"interval {_INTERVAL}deciles": "tenths of the course",
    f"interval {_INTERVAL}deciles_accum": "tenths of the course, each including the ones before",
    f"interval {_INTERVAL}one_week_after_start": "one week after the start",
    f"interval {_INTERVAL}one_month_after_start": "one month after the start",
    f"interval {_INTERVAL}ten_percent_after_start": "after the first tenth of the course",
    f"interval {_INTERVAL}past_3_days": "the past 3 days",
    f"interval {_INTERVAL}past_week": "the past week",
    f"interval {_INTERVAL}past_month": "the past month",
    f"interval {_INTERVAL}upcoming_3_days": "the next 3 days",
    f"interval {_INTERVAL}upcoming_week": "the next week",
    f"interval {_INTERVAL}upcoming_fortnight": "the next two weeks",
}

_TEXTS = Texts(ENGLISH)

say, known = _TEXTS.say, _TEXTS.known


def interval_name(interval: str | None) -> str:
    """What people call an analysis interval: the end of its id when there is no text."""
    if not interval:
        return say("no interval")
    return (
        say("interval", interval) if known(f"interval {interval}") else interval.rpartition("\\")[2].replace("_", " ")
    )


def indicator_name(indicator: str, label: str = "") -> str:
    """What people call an indicator, given its id and what it is called when there is no text."""
    of_module = _OF_MODULE.fullmatch(indicator)
    if of_module and known(f"module {of_module[1]}"):
        return say(f"indicator {of_module[2]}", module=say(f"module {of_module[1]}"))
    if indicator == TIME:
        return words.say("time")
    return say("indicator", indicator) if known(f"indicator {indicator}") else label or indicator


def module_of(indicator: str) -> str:
    """The type of activities of which an indicator gives cognitive depth or social breadth; empty for others."""
    of_module = _OF_MODULE.fullmatch(indicator)
    return of_module[1] if of_module else ""


def module_name(module: str) -> str:
    """What people call activities of a type."""
    return say(f"module {module}") if known(f"module {module}") else module
