"""Time and weight of the pages for people, with a course of 500 students and 100,000 insights in the store.

A site is simulated, the risks of its ongoing course are made up part by part, and insights of other courses fill the
store; then a real server is asked for each page: the first time cold (nothing read from Moodle yet), then warm.
``PAGES_STORE`` names another store by its URL, ``PAGES_FOLDER`` keeps what was made.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from fixtures.pages import DROPOUT, QUARTERS, add_like, reader
from fixtures.servers import served
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import follow_ups, risks
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, INSIGHTS, MODELS, PREDICTIONS
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.simulation.site.build import write_site

NOW = 1_795_366_777
STUDENTS, INSIGHTS_STORED = 500, 100_000
SITE_FACTOR = 1.55
"""The ongoing course has fewer students than the simulated courses on average, and not all are still enrolled."""
REASONS = json.dumps(
    [
        {"indicator": indicator, "label": indicator, "value": "-1", "contribution": 0.9 - 0.1 * at}
        for at, indicator in enumerate(definitions.core_indicators(DROPOUT))
    ]
)
WARM = 20
WEEK = 604_800


def simulate(folder: Path, students: int = STUDENTS, insights: int = INSIGHTS_STORED) -> dict[str, int]:
    """Write site and store; returns the course, its context and a student."""
    import sqlite3
    from contextlib import closing

    url = f"sqlite:///{folder / 'site.sqlite'}"
    write_site(url, courses=3, students=round(students * SITE_FACTOR), seed=3, now=NOW)
    with closing(sqlite3.connect(folder / "site.sqlite")) as site, site:
        query = (
            "SELECT c.id, x.id, c.startdate, c.enddate FROM mdl_course c JOIN mdl_context x ON x.contextlevel = 50 "
            "AND x.instanceid = c.id WHERE c.enddate > ? ORDER BY c.id"
        )
        course, context, start, end = site.execute(query, (NOW,)).fetchone()
        site.execute(
            "UPDATE mdl_course SET shortname = 'BIO-101-2026', fullname = 'Biology 101' WHERE id = ?", (course,)
        )
        site.execute(
            "UPDATE mdl_course SET shortname = 'BIO-101-' || (2020 + id), category = (SELECT category FROM mdl_course "
            "WHERE id = ?) WHERE id <> ? AND format <> 'site'", (course, course),
        )  # fmt: skip
        path = site.execute("SELECT path FROM mdl_context WHERE id = ?", (context,)).fetchone()[0].rpartition("/")[0]
        site.execute(
            "UPDATE mdl_context SET path = ? || '/' || id WHERE contextlevel = 50 AND instanceid IN (SELECT id FROM "
            "mdl_course WHERE shortname LIKE 'BIO-101-%')", (path,),
        )  # fmt: skip
        role = site.execute("SELECT id FROM mdl_role WHERE archetype = 'editingteacher'").fetchone()[0]
        ana = add_like(
            site, "mdl_user", username="ana", firstname="Ana", lastname="Torres", suspended=0, deleted=0, confirmed=1
        )
        add_like(site, "mdl_role_assignments", roleid=role, contextid=context, userid=ana)
        enrolled = site.execute(
            "SELECT r.id, r.userid FROM mdl_user_enrolments r JOIN mdl_enrol e ON e.id = r.enrolid "
            "WHERE e.courseid = ? AND r.status = 0 AND r.timeend = 0 AND r.userid IN "
            "(SELECT a.userid FROM mdl_role_assignments a JOIN mdl_role o "
            "ON o.id = a.roleid WHERE o.archetype = 'student' AND a.contextid = ?)", (course, context),
        ).fetchall()  # fmt: skip
        site.execute("DELETE FROM mdl_groups_members")
        if groups := [key for (key,) in site.execute("SELECT id FROM mdl_groups LIMIT 2")]:
            site.execute("UPDATE mdl_groups SET courseid = ? WHERE id IN (?, ?)", (course, *groups))
            site.executemany(
                "INSERT INTO mdl_groups_members (id, groupid, userid, timeadded, component, itemid) "
                "VALUES (?, ?, ?, 0, '', 0)",
                [
                    (at + 1, groups[at % 2], user)
                    for at, user in enumerate(dict.fromkeys(user for _, user in enrolled))
                    if at % 5
                ],
            )
    settings = AnalyticsSettings(site=url, directory=str(folder / "work"), store=os.environ.get("PAGES_STORE", ""))
    workspace = open_workspace(settings, now=NOW)
    with open_site(url), workspace.store.read() as connection:
        dropout = next(model.id for model in models.listed(connection) if model.target == DROPOUT)
    models.edit(workspace, dropout, enabled=True, interval=QUARTERS, processor="logistic_regression")
    random = np.random.default_rng(1)
    final = np.clip(random.beta(1.2, 3, len(enrolled)), 0.01, 0.98)
    with workspace.store.write() as connection:
        connection.execute(MODELS.update().where(MODELS.c.id == dropout).values(trained=1))
        _fill(connection, dropout, context, [key for key, _ in enrolled], final, (start, end), random, insights)
        for at, (_, user) in enumerate(enrolled[:60]):
            kind = ("message", "contacted", "resolved", "snoozed")[at % 4]
            follow_ups.insert(
                connection, courseid=course, studentid=user, userid=ana, kind=kind, batch=f"{at:032x}",
                now=NOW - at * 86_400, until=NOW + WEEK if kind == "snoozed" else None,
            )  # fmt: skip
    workspace.store.close()
    student = enrolled[int(np.argmax(final))][1]
    return {"course": course, "context": context, "student": student, "model": dropout, "students": len(enrolled)}


def _fill(connection, modelid, contextid, sampleids, final, span, random, insights):
    """Risks of five parts of a course, and insights there and in contexts of other courses."""
    start, end = span
    rows = []
    for part in range(5):
        until = start + (end - start) * (part + 1) // 10
        noise = random.normal(0, 0.05 * (4 - part), len(sampleids))
        for sampleid, probability in zip(sampleids, np.clip(final + noise, 0.01, 0.99), strict=True):
            rows.append(
                {"modelid": modelid, "contextid": contextid, "sampleid": sampleid, "rangeindex": part,
                 "probability": float(probability), "low": float(max(0, probability - 0.1)),
                 "high": float(min(1, probability + 0.12)), "threshold": 0.4, "timestart": start, "timeend": until,
                 "timecreated": min(until, NOW)}
            )  # fmt: skip
    risks.insert(connection, rows)
    flagged = [(contextid, key, float(p)) for key, p in zip(sampleids, final, strict=True) if p > 0.5]
    flagged += [(10_000_000 + at // 100, 10_000_000 + at, 0.7) for at in range(insights - len(flagged))]
    for at in range(0, len(flagged), 5000):
        part = [
            {"id": at + offset + 1, "modelid": modelid, "contextid": place, "sampleid": key, "rangeindex": 4,
             "prediction": 1.0, "predictionscore": probability, "calculations": "{}", "timecreated": NOW,
             "timestart": start, "timeend": NOW}
            for offset, (place, key, probability) in enumerate(flagged[at : at + 5000])
        ]  # fmt: skip
        connection.execute(PREDICTIONS.insert(), part)
        connection.execute(
            EXPLANATIONS.insert(),
            [{"predictionid": row["id"], "probability": row["predictionscore"], "reasons": REASONS} for row in part],
        )
        connection.execute(
            INSIGHTS.insert(),
            [{"predictionid": row["id"], "probability": row["predictionscore"],
              **{name: row[name] for name in ("modelid", "contextid", "sampleid", "rangeindex", "prediction",
                                              "predictionscore")}} for row in part],
        )  # fmt: skip


def addresses(made: dict[str, int]) -> dict[str, tuple[str, str]]:
    """User and address of each page."""
    course = f"/courses/{made['course']}"
    return {
        "course": ("ana", course),
        "course, filtered": ("ana", f"{course}?band=high&contact=todo&sort=access"),
        "course, searched": ("ana", f"{course}?q=an&page=2"),
        "more rows": ("ana", f"{course}?page=2&part=rows"),
        "activity by week": ("ana", f"{course}?part=activity"),
        "CSV": ("ana", f"{course}/students.csv"),
        "student": ("ana", f"{course}/students/{made['student']}"),
        "insights": ("ana", "/insights"),
        "insights of the course": ("ana", f"/insights?context={made['context']}"),
        "courses of managers": ("manager", "/analytics/courses"),
    }


def main() -> None:
    """Print a table."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(os.environ.get("PAGES_FOLDER") or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        made = simulate(folder)
        print(f"{made['students']} students\n")
        env = {
            "MOODLEMLBACKEND_SITE": f"sqlite:///{folder / 'site.sqlite'}",
            "MOODLEMLBACKEND_DIRECTORY": str(folder / "work"),
            "USERS": "manager:correct horse", "PEOPLE": "ana:correct horse",
        }  # fmt: skip
        if store := os.environ.get("PAGES_STORE"):
            env["MOODLEMLBACKEND_STORE"] = store
        print(f"{'page':<26}{'cold ms':>9}{'warm ms':>9}{'kB':>8}")
        for name, (user, path) in addresses(made).items():
            with served(folder / "server", **env) as server:
                client = reader(server, user)
                client.get("/notifications")  # the login and the connection, not the page
                times = []
                for _ in range(1 + WARM):
                    began = time.perf_counter()
                    answer = client.get(path)
                    times.append(1000 * (time.perf_counter() - began))
            if answer.status_code == 404:
                print(f"{name:<26}  not there")
                continue
            assert answer.status_code == 200, answer.text
            print(f"{name:<26}{times[0]:>9.0f}{statistics.median(times[1:]):>9.0f}{len(answer.content) / 1000:>8.1f}")


if __name__ == "__main__":
    main()
