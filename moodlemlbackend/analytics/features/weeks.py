"""Sections of the weeks format: when each week ends, by the rules of the site's version."""

from __future__ import annotations

from moodlemlbackend.analytics.features.calendar_time import Period, shift
from moodlemlbackend.analytics.site import Site

SECONDS_A_WEEK = 604_800

EARLY_SECONDS = 7_200
"""By which a week is taken for over early, when activities are dated, where :attr:`Site.weeks_end_early`."""


def week_end(site: Site, start: int, week: int) -> int:
    """Unix time at which a week, the first being 1, ends in a course that began at ``start``.

    Weeks are of the calendar in the site's time zone where :attr:`Site.calendar_weeks`, so that an end keeps its hour
    of the day over a change of the clock; else each has 604,800 seconds. Moodle takes the time zone of whoever runs
    the analysis: cron, in practice, whose zone is the site's.
    """
    if site.calendar_weeks:
        return shift(start, Period(days=7 * week), site.zone)
    return start + SECONDS_A_WEEK * week
