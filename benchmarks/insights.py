"""Seconds of lists and pages of insights in a large store: ``python benchmarks/insights.py``."""

from __future__ import annotations

import argparse
import asyncio
import os
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from sqlalchemy import select, text

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db.database import insert_rows
from moodlemlbackend.analytics.db.schema import EXPLANATIONS, INSIGHTS, MODELS, PREDICTION_ACTIONS, PREDICTIONS
from moodlemlbackend.analytics.insights import listing
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.analytics.site import Site, open_site
from moodlemlbackend.analytics.workspace import Workspace
from moodlemlbackend.server import limits
from moodlemlbackend.server.pages.site import managers, teachers
from moodlemlbackend.server.pages.site.request_context import RequestContext, RequestContexts
from moodlemlbackend.server.pages.site.responses import Page
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.settings.server import ServerSettings
from moodlemlbackend.simulation.site.build import write_site

NOW = 1_795_366_777
REPEATS = 5
ADMINISTRATOR, LOGIN = 2, "admin"
DROPOUT = r"\core_course\analytics\target\course_dropout"


def enlarge(site: Path, students: int) -> tuple[list[int], list[int]]:
    """Enrol made-up students in the first course of a simulated site; returns enrolments and contexts of courses."""
    with closing(sqlite3.connect(site)) as database, database:
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
        contexts = [context for (context,) in of_courses]
    return [first + number for number in range(students)], contexts


def fill(workspace: Workspace, insights: int, number: int, enrolments: list[int], places: list[int]) -> int:
    """Put models and insights in the store: half of the first model in one course, the others over all.

    Of half of the samples there is a prediction of an earlier range as well. Returns the id of the first model.
    """
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
                "sampleid": enrolments[position], "rangeindex": 1, "prediction": 1.0,
                "predictionscore": round(0.5 + position % 4999 / 10_000, 5), "calculations": calculations,
                "timecreated": NOW, "timestart": NOW - 100, "timeend": NOW,
            })  # fmt: skip
            probability = rows[-1]["predictionscore"]
            explained.append({"predictionid": position + 1, "probability": probability, "reasons": reasons})
        earlier = [{**row, "id": insights + row["id"], "rangeindex": 0} for row in rows[: insights // 2]]
        insert_rows(connection, PREDICTIONS, rows + earlier)
        insert_rows(connection, EXPLANATIONS, explained)
        named = INSIGHTS.c.keys()
        listed = [{**row, "predictionid": row["id"], "probability": row["predictionscore"]} for row in rows]
        insert_rows(connection, INSIGHTS, [{name: row[name] for name in named} for row in listed])
        acted = [{"predictionid": key, "userid": ADMINISTRATOR, "actionname": "fixed", "timecreated": NOW}
                 for key in range(1, insights // 10)]  # fmt: skip
        insert_rows(connection, PREDICTION_ACTIONS, acted)
    if workspace.store.engine.name == "postgresql":
        with workspace.store.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text("VACUUM ANALYZE"))  # as it does by itself after many changes
    return int(ids[0])


def median(work: Callable[[], object]) -> float:
    """Seconds, the median of several times."""
    seconds = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def measure_lists(workspace: Workspace, site: Site, course: int, insights: int) -> dict[str, float]:
    """Seconds of what the command lists."""
    last = insights // listing.PAGE - 1
    return {
        "list, first page": median(lambda: listing.listed(workspace, site)),
        "list, three insights": median(lambda: listing.listed(workspace, site, perpage=3)),
        "list, last page": median(lambda: listing.listed(workspace, site, page=last)),
        "list of a user": median(
            lambda: listing.listed(workspace, site, userid=ADMINISTRATOR, reader=Capabilities(site, NOW))
        ),
        "list of a user, last page": median(
            lambda: listing.listed(workspace, site, userid=ADMINISTRATOR, reader=Capabilities(site, NOW), page=last)
        ),
        "list of a course": median(lambda: listing.listed(workspace, site, contextids=[course])),
    }


def measure_pages(settings: AnalyticsSettings, course: int, other: int, model: int, insights: int) -> dict[str, float]:
    """Seconds of the server's pages for an administrator, opening the site and the page's text among them."""

    async def measured() -> dict[str, float]:
        contexts, seconds = RequestContexts(ServerSettings(), settings, lambda _: True), {}
        for name, make in pages.items():
            times = []
            for _ in range(REPEATS):
                begun = time.perf_counter()
                await contexts.ask(LOGIN, lambda ctx, make=make: make(ctx).response(ctx, person_only=False))
                times.append(time.perf_counter() - begun)
            seconds[f"page: {name}"] = statistics.median(times)
        await contexts.close()
        return seconds

    def section(page: int) -> Callable[[RequestContext], Page]:
        return lambda ctx: teachers.context(ctx, teachers.InsightsQuery(course, model, page))

    pages: dict[str, Callable[[RequestContext], Page]] = {
        "overview": teachers.index,
        "a course of one model": section(1),
        "its last page": section(insights // 2 // limits.PAGE_INSIGHTS),
        "a course of many models": lambda ctx: teachers.context(ctx, teachers.InsightsQuery(other)),
        "dealt with": lambda ctx: teachers.dealt_with(ctx, course),
        "one insight": lambda ctx: teachers.insight(ctx, 1),
        "all models": managers.index,
        "a model": lambda ctx: managers.model(ctx, model),
        "where a model has predicted": lambda ctx: managers.predictions(ctx, model),
    }
    return asyncio.run(measured())


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
        url = f"sqlite:///{folder / 'site.sqlite'}"
        write_site(url, courses=20, students=10, seed=1, now=NOW)
        enrolments, places = enlarge(folder / "site.sqlite", insights)
        for name, store in (
            ("SQLite", ""),
            *(((chosen.store.partition(":")[0], chosen.store),) if chosen.store else ()),
        ):
            settings = AnalyticsSettings(site=url, directory=str(folder / name), store=store)
            workspace = open_workspace(settings, now=NOW)
            with open_site(url) as site:
                model = fill(workspace, insights, number, enrolments, places)
                seconds = measure_lists(workspace, site, places[0], insights)
            seconds |= measure_pages(settings, places[0], places[1], model, insights)
            for what, took in seconds.items():
                print(f"| {name} | {what} | {took:.3f} |")
            workspace.store.close()


if __name__ == "__main__":
    main()
