"""Counts behind the indicators: the same as Moodle's values, for every student, range and indicator."""

from __future__ import annotations

import dataclasses
import threading

import numpy as np
import pytest

from fixtures.oracle import NOW, ORACLE_COURSE, analysis, load_sqlite
from moodlemlbackend.analytics.features.analysis import analyse
from moodlemlbackend.analytics.features.evidence import TOLERANCE, read_evidence
from moodlemlbackend.analytics.features.indicators import CORE
from moodlemlbackend.analytics.insights.names import module_of
from moodlemlbackend.analytics.site import open_site

INDICATORS = [one for one in CORE if one.requires <= {"user", "course", "context"} and "bigbluebutton" not in one.id]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    return load_sqlite(tmp_path_factory.mktemp("evidence") / "site.sqlite", ORACLE_COURSE)


@pytest.fixture(scope="module")
def site(url):
    with open_site(url) as opened:
        yield opened


@pytest.fixture(scope="module", params=["quarters", "quarters_accum", "deciles"])
def analysed(request, site):
    """What is calculated of the course with every indicator, equal to Moodle where Moodle calculated it."""
    chosen = dataclasses.replace(analysis("course_dropout", request.param), indicators=INDICATORS)
    [result] = analyse(site, chosen)
    return result


def each_range(result):
    for at in range(len(result.ranges)):
        yield at, int(result.ranges.starts[at]), int(result.ranges.ends[at])


def value_of(result, indicator, at, sample):
    value = result.values[indicator][at, sample]
    return None if np.isnan(value) else round(float(value), 2)


def test_every_value_of_every_student_follows_from_the_counts(site, analysed):
    checked = 0
    for at, start, end in each_range(analysed):
        evidence = read_evidence(site, analysed.analysable.id, start, end, NOW)
        for sample, user in enumerate(analysed.samples.users.tolist()):
            for indicator in INDICATORS:
                value = value_of(analysed, indicator.id, at, sample)
                assert evidence.agrees(indicator.id, user, value), (indicator.id, user, value)
                checked += 1
    assert checked == len(analysed.ranges) * len(analysed.samples) * len(INDICATORS)


def test_no_other_value_would(site, analysed):
    at, start, end = next(each_range(analysed))
    evidence = read_evidence(site, analysed.analysable.id, start, end, NOW)
    user = int(analysed.samples.users[0])
    for indicator in INDICATORS:
        value = value_of(analysed, indicator.id, at, 0)
        wrong = [None, 2.0] if value is not None else [0.5, -1.0]
        assert not any(evidence.agrees(indicator.id, user, other) for other in wrong if other != value)


def test_what_was_opened_is_what_cognitive_depth_counts(site, analysed):
    """Nothing opened is -1, nothing due is null, and types that can only be opened have exactly their share."""
    shares = 0
    for at, start, end in each_range(analysed):
        evidence = read_evidence(site, analysed.analysable.id, start, end, NOW)
        for sample, user in enumerate(analysed.samples.users.tolist()):
            for indicator in INDICATORS:
                module, value = module_of(indicator.id), value_of(analysed, indicator.id, at, sample)
                did = evidence.of_type(module, user) if module in evidence.due else None
                if did is None:
                    continue
                assert (value is None) == (did.due == 0)
                if value is not None:
                    assert (value == -1) == (did.opened.own == 0)
                    assert did.wrote.own <= did.opened.own <= did.due
                if value is not None and module in {"book", "folder", "page", "resource", "url"}:
                    assert abs(value - (2 * did.opened.own / did.due - 1)) < TOLERANCE
                    shares += 1
    assert shares > 100


def test_more_than_half_of_the_classmates_are_in_the_middle(site, analysed):
    _, start, end = next(each_range(analysed))
    evidence = read_evidence(site, analysed.analysable.id, start, end, NOW)
    for name, counts in evidence.counts.items():
        for user in evidence.users.tolist():
            count = evidence.count(name, user)
            others = counts[evidence.active & (evidence.users != user)]
            assert ((others >= count.low) & (others <= count.high)).mean() > 0.5
            same, number = evidence.like(name, user)
            assert number == len(others)
            assert same == ((others > 0) == (count.own > 0)).sum()


def test_it_outlives_the_connection_and_is_shared_by_threads(url):
    with open_site(url) as opened:
        [course] = opened.courses
        evidence = read_evidence(opened, course.id, course.start, course.end, NOW)
    counts: list[object] = []
    users = evidence.users.tolist()
    threads = [
        threading.Thread(target=lambda: counts.append([evidence.of_type("assign", user) for user in users]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 4
    assert all(seen == counts[0] for seen in counts)


def test_the_logs_are_read_once(url, monkeypatch):
    queries = []
    with open_site(url) as opened:
        rows = opened.database.rows

        def counted(query, **values):
            queries.append(query)
            return rows(query, **values)

        monkeypatch.setattr(opened.database, "rows", counted)
        [course] = opened.courses
        read_evidence(opened, course.id, course.start, course.end, NOW)
    assert len([query for query in queries if "logstore_standard_log" in query]) == 1


def test_there_is_none_of_a_course_that_is_gone(site):
    assert read_evidence(site, 999, 0, NOW, NOW) is None
