"""Charts are numbers for SVG."""

from __future__ import annotations

import pytest

pytest.importorskip("jinja2", reason="needs the extra server")

from moodlemlbackend.server.pages.charts import calibration_chart


def test_a_calibration_has_courses_between_nothing_and_the_most():
    chart = calibration_chart(
        [{"name": "A", "promised": 2.5, "real": 10}, {"name": "B", "promised": 0.0, "real": 0}]
    )  # fmt: skip
    assert (chart.most, chart.points) == (10, [(110.0, 20.0, "A"), (40.0, 300.0, "B")])
    assert calibration_chart([{"name": "A", "promised": 0.0, "real": 0}]).most == 1
    assert calibration_chart([]).points == []
