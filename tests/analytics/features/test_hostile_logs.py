"""Log rows that a student brings about: whatever stands in them, the values of others stay, and the own are values."""

from __future__ import annotations

import numpy as np
import pytest

from fixtures.small_site import DAY, END, START, WEEK, SmallSite, values
from moodlemlbackend.analytics.features.indicators import CORE

HALVES = ((START, START + 5 * WEEK), (START + 5 * WEEK, END))
INSIDE = START + DAY
NAMES = (
    "' OR 1=1; DROP TABLE mdl_user; --",
    "{user} :course %s %(userid)s ?",
    "<script>alert(1)</script>",
    "\\core\\event\\course_viewed\x00\x1b[2J\u202e",
    "x" * 100_000,
    "",
)
ROWS = (
    *({"time": INSIDE, "event": name, "crud": "c"} for name in NAMES),
    *({"time": INSIDE, "crud": kind} for kind in ("x", "", "'", "rr")),
    *({"time": moment} for moment in (0, -1, -(2**63), 2**31, 2**62, 2**63 - 1)),
    *(
        {"time": INSIDE, "contextlevel": level, "contextid": level, "contextinstanceid": level}
        for level in (-1, 0, 2**62)
    ),
    {"time": INSIDE, "anonymous": 1},
)


@pytest.mark.parametrize("indicator", CORE, ids=lambda one: one.id.rpartition("\\")[2])
def test_hostile_rows_change_only_the_values_of_whoever_they_are_of(tmp_path, indicator):
    calm, hostile = (calculate(SmallSite(tmp_path / name), indicator, rows) for name, rows in (("a", ()), ("b", ROWS)))
    np.testing.assert_array_equal(hostile[:, :2], calm[:, :2])
    own = hostile[:, 2]
    assert ((np.abs(own) <= 1) | np.isnan(own)).all()


def calculate(small: SmallSite, indicator, rows) -> np.ndarray:
    """Values of two students who read and write, and of a third with further rows: (ranges, 3)."""
    course = small.course()
    small.section(course, 1)
    forum, _ = small.activity(course, "forum", section=1)
    first, second, third = small.students(course, 3)
    for user in (first, second, third):
        for number in range(user + 3):
            small.log(course, user, INSIDE + number * DAY, context=forum if number % 2 else 0, crud="cr"[number % 2])
    for row in rows:
        small.log(course, third, **row)
    return np.array(values(small, indicator, *HALVES), float)
