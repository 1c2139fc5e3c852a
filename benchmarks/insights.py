"""Seconds of lists and pages of insights in a large store: ``python benchmarks/insights.py``."""

from __future__ import annotations

import argparse
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select, text

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db.database import insert_rows
from moodlemlbackend.analytics.db.insights import contexts
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, MODELS, PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.analytics.site import Site, open_site
from moodlemlbackend.analytics.workspace import Workspace
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.simulation.site.build import write_site

NOW = 1_795_366_777
REPEATS = 5
ADMINISTRATOR = 2
DROPOUT = r"\core_course\analytics\target\course_dropout"


def enlarge(site: Path, students: int) -> tuple[list[int], list[int]]:
    """Enrol made-up students in the first course of a simulated site; returns enrolments and contexts of courses."""
    with sqlite3.connect(site) as database:
        first = 10_000_000
        columns = [row[1] for row in database.execute("PRAGMA table_info(mdl_user)")]
        user = dict(zip(columns, database.execute("SELECT * FROM mdl_user ORDER BY id DESC").fetchone(), strict=True))
        course = database.execute("SELECT MAX(id) FROM mdl_course").fetchone()[0]
        enrol = database.execute("SELECT MIN(id) FROM mdl_enrol WHERE courseid = ?", (course,)).fetchone()[0]
        used = [row[1] for row in database.execute("PRAGMA table_info(mdl_user_enrolments)")]
        enrolment = dict(zip(used, database.execute("SELECT * FROM mdl_user_enrolments").fetchone(), strict=True))
        for table, row, named in (
            ("mdl_user", user, columns),
            ("mdl_user_enrolments", {**enrolment, "enrolid": enrol}, used),
        ):
            marks = ", ".join("?" * len(named))
            keys = {"id", "userid", "username"} & set(named)
            rows = ([({**row, **dict.fromkeys(keys, first + number)})[key] for key in named]
                    for number in range(students))  # fmt: skip
            database.executemany(f"INSERT INTO {table} ({', '.join(named)}) VALUES ({marks})", rows)
        of_courses = database.execute("SELECT id FROM mdl_context WHERE contextlevel = 50 ORDER BY instanceid DESC")
        found = [context for (context,) in of_courses]
    return [first + number for number in range(students)], found


def fill(workspace: Workspace, insights: int, number: int, enrolments: list[int], places: list[int]) -> None:
    """Put models and insights in the store: half of the first model in one course, the others over all."""
    with workspace.store.write() as connection:
        [model] = models.listed(connection, target=DROPOUT)
        row = connection.execute(select(MODELS).where(MODELS.c.id == model.id)).one()._asdict()
        row |= {"enabled": 1, "trained": 1, "timesplitting": r"\core\analytics\time_splitting\quarters"}
        del row["id"]
        for key in ("predictionsprocessor", "contextids"):
            row[key] = row[key] or ""
        insert_rows(connection, MODELS, [row] * number)
    with workspace.store.write() as connection:
        ids = connection.execute(select(MODELS.c.id).order_by(MODELS.c.id)).scalars().all()[-number:]
        calculations = "{" + ",".join(f'"\\\\core\\\\analytics\\\\indicator\\\\i{n}":0.5' for n in range(45)) + "}"
        reasons = '[{"indicator": "a", "label": "A", "value": "none", "contribution": 1.5}]'
        rows, explained = [], []
        for position in range(insights):
            large = position % 2 == 0
            rows.append({
                "id": position + 1, "modelid": ids[0] if large else ids[position % number],
                "contextid": places[0] if large else places[position % len(places)],
                "sampleid": enrolments[position % len(enrolments)], "rangeindex": 1, "prediction": 1.0,
                "predictionscore": round(0.5 + position % 4999 / 10_000, 5), "calculations": calculations,
                "timecreated": NOW, "timestart": NOW - 100, "timeend": NOW,
            })  # fmt: skip
            probability = rows[-1]["predictionscore"]
            explained.append({"predictionid": position + 1, "probability": probability, "reasons": reasons})
        insert_rows(connection, PREDICTIONS, rows)
        insert_rows(connection, EXPLANATIONS, explained)
        acted = [{"predictionid": key, "userid": ADMINISTRATOR, "actionname": "fixed", "timecreated": NOW}
                 for key in range(1, insights // 10)]  # fmt: skip
        insert_rows(connection, PREDICTION_ACTIONS, acted)
        connection.execute(text("ANALYZE"))  # as a server does by itself


def median(work: Callable[[], object]) -> float:
    """Seconds, the median of several times."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def measure(workspace: Workspace, site: Site, insights: int) -> dict[str, float]:
    """Seconds of each list and page."""
    with workspace.store.read() as connection:
        largest = max(contexts(connection), key=lambda one: one.predictions)
        model = models.get(connection, largest.modelid)
    course = largest.contextid
    deep = insights // listing.PAGE - 1
    return {
        "list, first page": median(lambda: listing.listed(workspace, site)),
        "list, three insights": median(lambda: listing.listed(workspace, site, perpage=3)),
        "list, last page": median(lambda: listing.listed(workspace, site, page=deep)),
        "list of a user": median(
            lambda: listing.listed(workspace, site, userid=ADMINISTRATOR, reader=Capabilities(site, NOW))
        ),
        "list of a course": median(lambda: listing.listed(workspace, site, contextids=[course])),
        "page of a course, one model": median(
            lambda: listing.section(workspace, site, model, course, userid=ADMINISTRATOR, perpage=50)
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few insights")
    parser.add_argument("--store", metavar="URL", help="a store in this empty database as well")
    chosen = parser.parse_args()
    insights, number = (2_000, 20) if chosen.quick else (100_000, 1_000)
    print(f"{insights:,} insights of {number:,} models. Load at the start {os.getloadavg()[0]:.1f}.\n")
    print("| store | what | seconds |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        write_site(f"sqlite:///{folder / 'site.sqlite'}", courses=20, students=10, seed=1, now=NOW)
        enrolments, places = enlarge(folder / "site.sqlite", max(1_000, insights // 2))
        for name, url in (("SQLite", ""), *(((chosen.store.partition(":")[0], chosen.store),) if chosen.store else ())):
            workspace = open_workspace(AnalyticsSettings(directory=str(folder / name), store=url), now=NOW)
            with open_site(f"sqlite:///{folder / 'site.sqlite'}") as site:
                fill(workspace, insights, number, enrolments, places)
                for what, seconds in measure(workspace, site, insights).items():
                    print(f"| {name} | {what} | {seconds:.3f} |")
            workspace.store.close()


if __name__ == "__main__":
    main()
