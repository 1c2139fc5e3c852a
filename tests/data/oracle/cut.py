"""Cut one course out of the oracle of a whole site: ``python cut.py ORACLE``, beside the data that it writes."""

from __future__ import annotations

import csv
import gzip
import io
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from moodlemlbackend.analytics.features import registry  # noqa: F401  which adds the tables of activities
from moodlemlbackend.analytics.site.schema import TABLES

COURSE = "5"
DATA_SETS = (
    "course_dropout--quarters", "course_dropout--quarters_accum", "course_dropout--single_range",
    "course_dropout--deciles", "course_completion--quarters", "course_gradetopass--quarters",
    "course_competencies--quarters",
)  # fmt: skip
OF_ACTIVITIES = (
    ("quiz_attempts", "quiz", "quiz"), ("assign_submission", "assignment", "assign"),
    ("choice_answers", "choiceid", "choice"), ("feedback_completed", "feedback", "feedback"),
    ("lesson_grades", "lessonid", "lesson"),
)  # fmt: skip
HERE = Path(__file__).parent
USERS = {"user_preferences", "user_lastaccess"}
MORE = {"course": ("groupmode", "groupmodeforce"), "course_modules": ("groupmode",), "user": ("emailstop", "auth")}

Row = dict[str, str]


def main(oracle: Path) -> None:
    def read(table: str) -> list[Row]:
        with gzip.open(oracle / "site" / f"mdl_{table}.csv.gz", "rt", newline="") as file:
            return list(csv.DictReader(file))

    def ids(rows: Iterable[Row]) -> set[str]:
        return {row["id"] for row in rows}

    modules = {row["id"]: row["name"] for row in read("modules")}
    activities: dict[str, set[str]] = {}
    for row in read("course_modules"):
        if row["course"] == COURSE:
            activities.setdefault(modules[row["module"]], set()).add(row["instance"])
    of_course = ids(row for row in read("course_modules") if row["course"] == COURSE)
    enrols = ids(row for row in read("enrol") if row["courseid"] == COURSE)
    users = {row["userid"] for row in read("user_enrolments") if row["enrolid"] in enrols}
    contexts = read("context")
    path = next(row["path"] for row in contexts if (row["contextlevel"], row["instanceid"]) == ("50", COURSE))
    kept = {*path.split("/"), *(row["id"] for row in contexts if row["path"].startswith(f"{path}/"))}
    users |= {row["userid"] for row in read("role_assignments") if row["contextid"] in kept}
    kept |= {row["id"] for row in contexts if row["contextlevel"] == "30" and row["instanceid"] in users}
    items = ids(row for row in read("grade_items") if row["courseid"] == COURSE)
    groups = ids(row for row in read("groups") if row["courseid"] == COURSE)
    parents = {
        "grade_grades": ("itemid", items), "user_enrolments": ("enrolid", enrols),
        "groups_members": ("groupid", groups),
        "course_modules_completion": ("coursemoduleid", of_course), "role_assignments": ("contextid", kept),
        "role_capabilities": ("capability", {"moodle/analytics:listinsights", "moodle/site:accessallgroups"}),
        "user": ("id", users), "context": ("id", kept), "course": ("id", {"1", COURSE}),
        "config_plugins": ("plugin", {"analytics", "core_competency", "logstore_standard", "moodlecourse"}),
        "config": ("name", {"version", "release", "siteguest", "siteadmins", "timezone", "defaultuserroleid"}),
    }  # fmt: skip
    for table, column, module in OF_ACTIVITIES:
        parents[table] = (column, activities.get(module, set()))

    def chooser(table: str, columns: Iterable[str]) -> Callable[[Row], bool]:
        if table in parents:
            column, values = parents[table]
            return lambda row: row[column] in values
        column = next((name for name in ("course", "courseid") if name in columns), None)
        if column is not None:
            return lambda row: row[column] == COURSE and row.get("userid", "0") in {*users, "0", ""}
        return lambda row: table not in USERS or row["userid"] in users

    with (oracle / "schema.csv").open(newline="") as file:
        schema = [row for row in csv.DictReader(file) if row["table"].removeprefix("mdl_") in TABLES]
    wanted = {table: {"id", *spec.columns, *MORE.get(table, ())} for table, spec in TABLES.items()}
    schema = [row for row in schema if row["column"] in wanted[row["table"].removeprefix("mdl_")]]
    with (HERE / "schema.csv").open("w", newline="") as file:
        _write(file, [*schema[0]], schema)
    for table in sorted({row["table"] for row in schema}):
        columns = [row["column"] for row in schema if row["table"] == table]
        rows = read(table.removeprefix("mdl_"))
        _write_packed(
            HERE / "site" / f"{table}.csv.gz", columns, filter(chooser(table[4:], rows[0] if rows else columns), rows)
        )
    for name in DATA_SETS:
        file = f"{name}.with-ids.rows.csv.gz"
        with gzip.open(oracle / "datasets/evaluation" / file, "rt", newline="") as rows_of_set:
            named = list(csv.DictReader(rows_of_set))
        with gzip.open(oracle / "datasets/evaluation" / file.replace(".rows.", ".data."), "rt") as lines:
            header, *data = lines.read().splitlines()
        chosen = [(row, line) for row, line in zip(named, data, strict=True) if row["analysableid"] == COURSE]
        _write_packed(HERE / "datasets/evaluation" / file, [*named[0]], (row for row, _ in chosen))
        _pack(
            HERE / "datasets/evaluation" / file.replace(".rows.", ".data."),
            "\n".join([header, *(line for _, line in chosen), ""]),
        )


def _write(file: io.TextIOBase, columns: list[str], rows: Iterable[Row]) -> None:
    writer = csv.DictWriter(file, columns, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def _write_packed(path: Path, columns: list[str], rows: Iterable[Row]) -> None:
    text = io.StringIO()
    _write(text, columns, rows)
    _pack(path, text.getvalue())


def _pack(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), 9, mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
