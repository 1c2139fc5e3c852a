"""What the benchmark of growth runs on, in any size: data sets, sites in PostgreSQL, and stores of models.

Everything here is called in processes of its own. A function that prepares returns what commands need to know.
"""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Any

import numpy as np

from moodlemlbackend.simulation.site.build import write_site

NOW = 1_795_366_777
PREFIX = "mdl_"
SERVER = os.environ.get("TEST_POSTGRESQL", "postgresql://postgres@127.0.0.1:5432/postgres")
"""Where databases are made and dropped, as in the tests."""

COURSES_SIMULATED = 600
"""A site with more courses has copies of these."""

SHARED_USERS = 3
"""Guest, administrator and manager: the first users, of whom there is one each."""

KEPT = {"config", "config_plugins", "modules", "role", "role_capabilities", "course_categories", "scale", "competency"}
"""Tables that do not grow with the courses."""

TO_COURSES = {"course", "courseid"}
TO_USERS = {"userid", "relateduserid"}
TO_OTHERS = {"id", "instance", "section", "sectionid", "enrolid", "itemid", "iteminstance", "groupid", "groupingid",
             "coursemoduleid", "uniqueid", "quiz", "assignment", "choiceid", "feedback", "lessonid", "workshopid",
             "authorid", "assign", "assignid"}  # fmt: skip
"""Columns with ids of rows that are copied. Columns with other ids, which nothing reads, stay as they are."""


# ---- data sets ----


def write_classes(path: Path, asked: Path, rows: int, columns: int, classes: int) -> None:
    """Write a labelled data set whose classes depend on the columns, and the same rows unlabelled."""
    from moodlemlbackend.dataset import data_set

    rng = np.random.default_rng(0)
    features = np.round(rng.normal(size=(rows, columns)), 1).astype(np.float32)
    score = features @ rng.normal(size=columns) + rng.normal(size=rows)
    labels = np.searchsorted(np.quantile(score, np.arange(1, classes) / classes), score)
    names = [f"input-{number}" for number in range(columns)]
    head = {"nfeatures": str(columns), "targetcolumn": "TARGET", "targettype": "discrete",
            "targetclasses": json.dumps([*range(classes)])}  # fmt: skip
    with path.open("wb") as file:
        data_set.write(file, head, names, features, labels=labels)
    with asked.open("wb") as file:
        data_set.write(file, head, names, features, sample_ids=[f"{number}-0" for number in range(rows)])


# ---- sites ----


def new_database() -> str:
    """Make a database; returns its URL, or an empty text where there is no server."""
    import psycopg

    name = f"growth_{secrets.token_hex(4)}"
    try:
        with psycopg.connect(SERVER, autocommit=True, connect_timeout=3) as server:
            server.execute(f"CREATE DATABASE {name}")
    except psycopg.OperationalError:
        return ""
    return SERVER.rpartition("/")[0] + f"/{name}"


def drop_database(url: str) -> None:
    import psycopg

    with psycopg.connect(SERVER, autocommit=True) as server:
        server.execute(f"DROP DATABASE IF EXISTS {url.rpartition('/')[2]} WITH (FORCE)")


def site_of_logs(url: str, factor: float) -> int:
    """Simulate 40 courses of 40 students with about ``factor`` times the log, by COPY; returns the log rows."""
    made = write_site(url, courses=40, students=40, seed=1, now=NOW, log_rows_factor=factor)
    _vacuum(url)
    return made.rows["logstore_standard_log"]


def site_of_courses(url: str, courses: int, simulated: int = COURSES_SIMULATED) -> int:
    """Simulate courses of few students; those beyond ``simulated`` are copies, whole sets. Returns the log rows."""
    made = write_site(url, courses=min(courses, simulated), students=1, seed=1, now=NOW)
    copies = -(-courses // simulated) - 1
    if copies:
        _copy_courses(url, copies)
    _vacuum(url)
    return made.rows["logstore_standard_log"] * (1 + copies)


def _vacuum(url: str) -> None:
    """Have the statistics and the map of visible rows that a site in use has."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as database:
        database.execute("VACUUM ANALYZE")


def _copy_courses(url: str, copies: int) -> None:
    """Copy all courses with their people and all that belongs to them, inside the database."""
    import psycopg

    from moodlemlbackend.analytics.site.site import TABLES

    with psycopg.connect(url) as database:
        columns: dict[str, list[str]] = {}
        for table, column in database.execute(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall():
            columns.setdefault(table.removeprefix(PREFIX), []).append(column)
        [shared_contexts] = _one(database, "SELECT MAX(id) FROM mdl_context WHERE contextlevel IN (10, 40)")
        [step] = _one(database, "SELECT MAX(id) FROM mdl_logstore_standard_log")
        indexes = database.execute(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename LIKE 'mdl%' AND indexname NOT LIKE '%pkey'"
        ).fetchall()
        for name, _ in indexes:
            database.execute(f"DROP INDEX {name}")
        for table in sorted(columns.keys() & TABLES.keys() - KEPT):
            into = f"INSERT INTO mdl_{table} ({', '.join(columns[table])})"
            copied = f"SELECT * FROM mdl_{table} t WHERE {_copied(table, shared_contexts)}"
            database.execute(f"CREATE TEMPORARY TABLE original AS {copied}")
            for copy in range(1, copies + 1):
                shifted = [_shifted(table, column, shared_contexts, copy * step) for column in columns[table]]
                database.execute(f"{into} SELECT {', '.join(shifted)} FROM original t")
            database.execute("DROP TABLE original")
        for _, definition in indexes:
            database.execute(definition)


def _one(database: Any, query: str) -> Any:
    return database.execute(query).fetchone()


def _copied(table: str, shared_contexts: int) -> str:
    """SQL for which rows of a table are copied."""
    return {
        "course": "t.id > 1",
        "user": f"t.id > {SHARED_USERS}",
        "user_preferences": f"userid > {SHARED_USERS}",
        "context": f"t.id > {shared_contexts} AND NOT (contextlevel = 30 AND instanceid <= {SHARED_USERS})",
        "role_assignments": f"contextid > {shared_contexts}",
    }.get(table, "TRUE")


def _shifted(table: str, column: str, shared_contexts: int, step: int) -> str:
    """SQL for what a column has in a copy whose ids are ``step`` larger."""
    name, moved = f't."{column}"', f't."{column}" + {step}'

    def beyond(number: int, decisive: str = name) -> str:
        return f"CASE WHEN {decisive} > {number} THEN {moved} ELSE {name} END"

    if (table, column) in {("course", "shortname"), ("user", "username")}:
        return f"{name} || '-{step}'"
    if (table, column) == ("context", "path"):
        return "'/' || " + _shifted_list("ltrim(path, '/')", "/", shared_contexts, step)
    if (table, column) == ("course_sections", "sequence"):
        return _shifted_list("sequence", ",", 0, step)
    if (table, column) == ("course_sections", "section") or (column == "feedback" and table != "feedback_completed"):
        return name
    if column == "contextid":
        return beyond(shared_contexts)
    if column in {"contextinstanceid", "instanceid"}:
        return beyond(shared_contexts, "t.contextid" if column == "contextinstanceid" else "t.id")
    if column in TO_COURSES:
        return beyond(1)
    if column in TO_USERS:
        return beyond(SHARED_USERS)
    return beyond(0) if column in TO_OTHERS else name


def _shifted_list(text: str, mark: str, number: int, step: int) -> str:
    """SQL for a list of ids in a text, of which those beyond a number are shifted."""
    moved = f"(p::bigint + CASE WHEN p::bigint > {number} THEN {step}::bigint ELSE 0 END)::text"
    listed = f"SELECT string_agg({moved}, '{mark}' ORDER BY at) FROM unnest(string_to_array({text}, '{mark}'))"
    return f"COALESCE(({listed} WITH ORDINALITY AS u (p, at)), '')"


# ---- stores ----


def store_of_insights(folder: Path, insights: int, number: int) -> dict[str, Any]:
    """A simulated site in SQLite, and a store with insights of a number of models: see ``insights.py``."""
    import insights as stores

    from moodlemlbackend.analytics.lifecycle.opening import open_workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    url = f"sqlite:///{folder / 'site.sqlite'}"
    write_site(url, courses=20, students=10, seed=1, now=NOW)
    enrolments, places = stores.enlarge(folder / "site.sqlite", insights)
    workspace = open_workspace(AnalyticsSettings(site=url, directory=str(folder / "work")), now=NOW)
    model = stores.fill(workspace, insights, number, enrolments, places)
    workspace.store.close()
    return {"site": url, "context": places[0], "other": places[1], "model": model}


def course_of_students(folder: Path, students: int) -> dict[str, Any]:
    """A simulated site in SQLite whose ongoing course has students with risks: see ``pages.py``."""
    import pages

    return {"site": f"sqlite:///{folder / 'site.sqlite'}", **pages.simulate(folder, students, students)}


def store_of_courses(url: str, folder: Path) -> dict[str, Any]:
    """Give a site a model that has predicted for every student of every course."""
    import psycopg
    from sqlalchemy import select

    from moodlemlbackend.analytics import models
    from moodlemlbackend.analytics.db import risks
    from moodlemlbackend.analytics.db.schema import MODELS
    from moodlemlbackend.analytics.lifecycle.opening import open_workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

    workspace = open_workspace(AnalyticsSettings(site=url, directory=str(folder / "work")), now=NOW)
    with workspace.store.read() as connection:
        [model] = models.listed(connection, target=r"\core_course\analytics\target\course_dropout")
    models.edit(workspace, model.id, enabled=True, interval=r"\core\analytics\time_splitting\quarters")
    with workspace.store.write() as connection, psycopg.connect(url) as site:
        connection.execute(MODELS.update().where(MODELS.c.id == model.id).values(trained=1))
        enrolled = site.execute(
            "SELECT x.id, ue.id FROM mdl_user_enrolments ue JOIN mdl_enrol e ON e.id = ue.enrolid JOIN mdl_context x "
            "ON x.contextlevel = 50 AND x.instanceid = e.courseid"
        )
        while rows := enrolled.fetchmany(50_000):
            risks.insert(connection, [
                {"modelid": model.id, "contextid": context, "sampleid": sample, "rangeindex": 1, "low": 0.1,
                 "probability": sample % 97 / 100, "high": 0.98, "threshold": 0.4, "timestart": NOW - 100,
                 "timeend": NOW, "timecreated": NOW}
                for context, sample in rows
            ])  # fmt: skip
        assert connection.execute(select(MODELS.c.id)).first()
    workspace.store.close()
    return {"model": model.id}
