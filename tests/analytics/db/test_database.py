"""The store of models: one suite over SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("alembic", reason="needs the extra analytics")

from sqlalchemy import inspect, select, text

from fixtures.databases import KINDS, make_store_at, new_database
from fixtures.paths import ROOT, posix
from moodlemlbackend.analytics.databases import make_engine, parse_url
from moodlemlbackend.analytics.db import Store, database, notifications, open_store, predictions
from moodlemlbackend.analytics.db.database import HEAD, VERSION_TABLE, among, insert_rows
from moodlemlbackend.analytics.db.schema import (
    DELIVERIES,
    EXPLANATIONS,
    INDICATOR_CALC,
    INSIGHTS,
    METADATA,
    MODELS,
    PREDICTIONS,
    RUNS,
)
from moodlemlbackend.errors import StorageError, UsageError

RUN = {"task": "train", "modelid": 1, "timestarted": 5}
CALCULATION = {
    "starttime": 1, "endtime": 2, "contextid": 3, "sampleorigin": "user", "sampleid": 4, "indicator": "\\a\\b",
    "value": -0.47, "timecreated": 6,
}  # fmt: skip

HOLDER = """
import sys, time
from moodlemlbackend.analytics.db import open_store
with open_store(sys.argv[1]).lock("model:1") as held:
    print(held, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module", params=KINDS)
def url(request, tmp_path_factory):
    with new_database(request.param, tmp_path_factory.mktemp("store")) as made:
        yield made


@pytest.fixture
def store(url):
    opened = open_store(url)
    yield opened
    with opened.write() as connection:
        for table in METADATA.tables.values():
            connection.execute(table.delete())
    opened.close()


def test_a_transaction_is_kept_whole_or_not_at_all(store):
    with store.write() as connection:
        connection.execute(RUNS.insert().values(RUN))
    with pytest.raises(ZeroDivisionError):
        _write_half(store)
    with store.read() as connection:
        assert len(connection.execute(select(RUNS)).all()) == 1


def test_ids_are_not_used_again(store):
    ids = []
    for _ in range(2):
        with store.write() as connection:
            ids.append(connection.execute(RUNS.insert().values(RUN)).inserted_primary_key[0])
            connection.execute(RUNS.delete())
    assert ids[0] < ids[1]


def test_many_rows_at_once(store):
    many = [{**CALCULATION, "sampleid": number, "value": None if number == 7 else -0.47} for number in range(3000)]
    with store.write() as connection:
        insert_rows(connection, INDICATOR_CALC, many)
        insert_rows(connection, INDICATOR_CALC, [])
    with store.read() as connection:
        found = connection.execute(select(INDICATOR_CALC).order_by(INDICATOR_CALC.c.sampleid)).all()
    assert len(found) == 3000
    assert [(row.value, row.indicator) for row in found[6:8]] == [(-0.47, "\\a\\b"), (None, "\\a\\b")]


def test_ids_may_be_more_than_a_statement_can_have_parameters(store):
    many = range(70_000)
    with store.write() as connection:
        insert_rows(connection, INDICATOR_CALC, [{**CALCULATION, "sampleid": number} for number in (7, 69_999, 70_000)])
    with store.read() as connection:
        sample = INDICATOR_CALC.c.sampleid
        assert set(connection.execute(select(sample).where(among(sample, many))).scalars()) == {7, 69_999}
        assert connection.execute(select(sample).where(among(sample, []))).all() == []


def test_long_texts_and_every_letter(store):
    long = "\\x\u4e16😀" * 40_000
    with store.write() as connection:
        connection.execute(RUNS.insert().values(**RUN, summary=long))
    with store.read() as connection:
        assert connection.execute(select(RUNS.c.summary)).scalar() == long


def test_two_who_write_wait_for_each_other(store, url):
    other = open_store(url)
    with store.write() as connection:
        connection.execute(RUNS.insert().values(RUN))
        with other.read() as reader:
            assert not reader.execute(select(RUNS)).all()
    with other.write() as connection:
        connection.execute(RUNS.insert().values(RUN))
    other.close()
    with store.read() as connection:
        assert len(connection.execute(select(RUNS)).all()) == 2


def test_a_lock_keeps_others_out(store, url):
    other = open_store(url)
    with store.lock("model:1") as held, other.lock("model:1", 0) as too, other.lock("model:2", 0) as another:
        assert (held, too, another) == (True, False, True)
    with other.lock("model:1", 0) as held:
        assert held
    other.close()


@posix
def test_a_lock_ends_with_its_process(store, url):
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, url], stdout=subprocess.PIPE)
    try:
        assert holder.stdout.readline() == b"True\n"
        with store.lock("model:1", 0.2) as held:
            assert not held
        os.kill(holder.pid, signal.SIGKILL)
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    with store.lock("model:1", 20) as held:
        assert held


def test_the_migrations_make_the_tables_of_the_schema(store):
    found = inspect(store.engine)
    for table in METADATA.tables.values():
        columns = {column["name"]: column for column in found.get_columns(table.name)}
        assert set(columns) == set(table.c.keys()), table.name
        for column in table.c:
            assert columns[column.name]["nullable"] == column.nullable, column
        assert {index.name for index in table.indexes} <= {index["name"] for index in found.get_indexes(table.name)}


def test_an_older_store_is_upgraded_with_what_is_in_it(url, tmp_path, request):
    kind = request.node.callspec.params["url"]
    with new_database(kind, tmp_path) as old:
        make_store_at(old, "0001")
        opened = open_store(old)
        with opened.read() as connection:
            assert connection.execute(select(MODELS.c.target)).scalars().all() == ["\\t"]
            assert connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() == HEAD
            assert not connection.execute(select(RUNS)).all()
        opened.close()


def test_insights_of_an_older_store_are_the_predictions_of_the_last_ranges(url, tmp_path, request):
    """Sample 1 has been predicted in two ranges, the later one twice; sample 2 once, without an explanation."""
    with new_database(request.node.callspec.params["url"], tmp_path) as old:
        make_store_at(old, "0004")
        engine = make_engine(parse_url(old, "The database"))
        with engine.begin() as connection:
            row = {"modelid": 1, "contextid": 5, "prediction": 1, "predictionscore": 0.9, "calculations": "{}"}
            for key, sample, part in ((1, 1, 3), (2, 1, 2), (3, 1, 3), (4, 2, 0)):
                values = {"id": key, "sampleid": sample, "rangeindex": part, "timecreated": 7}
                connection.execute(PREDICTIONS.insert().values(**row, **values))
            connection.execute(EXPLANATIONS.insert().values(predictionid=3, probability=0.25, reasons="[]"))
        engine.dispose()
        opened = open_store(old)
        with opened.read() as connection:
            found = connection.execute(select(INSIGHTS).order_by(INSIGHTS.c.sampleid)).all()
        opened.close()
        assert [tuple(row) for row in found] == [(3, 1, 5, 1, 3, 1, 0.9, 0.25), (4, 1, 5, 2, 0, 1, 0.9, None)]


def test_an_insight_is_the_prediction_of_the_last_range(store):
    row = {"modelid": 1, "contextid": 5, "sampleid": 2, "prediction": 1, "predictionscore": 0.9, "calculations": "{}"}
    for part, last in ((1, 1), (3, 3), (2, 3), (3, 3)):
        with store.write() as connection:
            key = predictions.insert(connection, {**row, "rangeindex": part, "timecreated": 7}, part / 10, None, [])
            [found] = connection.execute(select(INSIGHTS)).all()
            assert (found.rangeindex, found.probability) == (last, last / 10)
    assert found.predictionid == key
    with store.write() as connection:
        assert predictions.forget(connection, [5]) == 4
        assert not connection.execute(select(INSIGHTS)).all()


def test_a_newer_store_is_refused(url, tmp_path, request):
    with new_database(request.node.callspec.params["url"], tmp_path) as newer:
        opened = open_store(newer)
        with opened.write() as connection:
            connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = '9999'"))
        opened.close()
        with pytest.raises(StorageError, match="newer moodlemlbackend"):
            open_store(newer)


def test_the_tables_of_a_moodle_are_left_alone(url, tmp_path, request):
    with new_database(request.node.callspec.params["url"], tmp_path) as moodle:
        engine = make_engine(parse_url(moodle, "The database"))
        with engine.begin() as connection:
            connection.execute(text("CREATE TABLE analytics_models (id INTEGER)"))
        with pytest.raises(StorageError, match="a separate database"):
            open_store(moodle)
        assert inspect(engine).get_table_names() == ["analytics_models"]
        engine.dispose()


def test_the_newest_migration_is_the_head():
    from alembic.script import ScriptDirectory

    folder = Path(database.__file__).parent / "migrations"
    assert ScriptDirectory(str(folder)).get_current_head() == HEAD


@pytest.mark.parametrize(
    ("store_url", "said"),
    [
        ("nonsense", "must be a database URL"),
        ("sqlite://", "needs a file"),
        ("oracle://scott:tiger@host/db", "cannot be in 'oracle'"),
        ("postgresql://nobody:secret@127.0.0.1:1/none", "cannot be used"),
        ("mysql://nobody:secret@127.0.0.1:1/none", "cannot be used"),
    ],
)
def test_a_store_that_cannot_be_opened(store_url, said):
    with pytest.raises((UsageError, StorageError), match=said) as raised:
        open_store(store_url)
    assert "secret" not in str(raised.value)
    assert "tiger" not in str(raised.value)


def _write_half(store: Store) -> None:
    with store.write() as connection:
        connection.execute(RUNS.insert().values(RUN))
        raise ZeroDivisionError


def test_the_newest_predictions_are_those_of_the_last_run_that_made_any(store):
    runs = [(7, "predict", 10), (7, "predict", 20), (7, "train", 24), (8, "predict", 23), (7, "predict", 30)]
    prediction = {"contextid": 1, "sampleid": 2, "rangeindex": 0, "prediction": 1, "predictionscore": 1}
    with store.write() as connection:
        assert predictions.newest(connection, 7) == []
        for modelid, task, begun in runs:
            connection.execute(RUNS.insert().values(modelid=modelid, task=task, timestarted=begun))
        for modelid, made in ((7, 12), (7, 22), (7, 25), (8, 26)):
            connection.execute(
                PREDICTIONS.insert().values(**prediction, modelid=modelid, timecreated=made, calculations="{}")
            )
        assert [row.timecreated for row in predictions.newest(connection, 7)] == [22, 25]


def test_what_waits_is_withdrawn_with_the_reason(store):
    texts = dict.fromkeys(("subject", "text", "html", "url"), "")
    with store.write() as connection:
        for _ in range(2):
            notifications.insert(
                connection, modelid=1, predictionid=None, contextid=1, userid=1, courseid=1, **texts, data={},
                kept=True, addresses={"email": "a@b.org"}, now=5,
            )  # fmt: skip
        first, second = notifications.due(connection, "email", now=5, attempts=5, after=0, most=9)
        assert notifications.due(connection, "webhook", now=5, attempts=5, after=0, most=9) == []
        notifications.sent(connection, [first.delivery], 1, 6)
        assert notifications.withdraw(connection, 5, "Why.") == 1
        assert notifications.waiting(connection, 5) == notifications.withdraw(connection, 5, "Again.") == 0
        errors = dict(connection.execute(select(DELIVERIES.c.id, DELIVERIES.c.error)).all())
        assert errors == {first.delivery: None, second.delivery: "Why."}


def test_what_goes_in_one_email_is_kept_together_and_counts_once(store):
    texts = dict.fromkeys(("subject", "text", "html", "url"), "")
    with store.write() as connection:
        for user in (1, 1, 1, 2):
            notifications.insert(
                connection, modelid=1, predictionid=None, contextid=1, userid=user, courseid=1, **texts, data={},
                kept=True, addresses={"email": "a@b.org", "webhook": "https://a.org"}, now=5,
            )  # fmt: skip
        waiting = notifications.waiting_mail(connection, "email", 5)
        assert [(row.userid, row.mailid, row.timenext) for row in waiting] == [(1, None, 5)] * 3 + [(2, None, 5)]
        first, second, third, other = [row.id for row in waiting]
        assert notifications.gather(connection, [first, second], 7) == first
        mine = notifications.waiting_mail(connection, "email", 5, userid=1)
        assert [(row.mailid, row.timemailed) for row in mine] == [(first, 7), (first, 7), (None, None)]
        notifications.sent(connection, [first, second], 1, 8)
        notifications.failed(connection, [other], attempts=5, again=9, error="No.")
        assert [row.id for row in notifications.waiting_mail(connection, "email", 5)] == [third]
        notifications.sent(connection, [third], 1, 9)
        assert {user: sorted(times) for user, times in notifications.mailed(connection, "email", 8).items()} == {
            1: [8, 9]
        }
        assert notifications.mailed(connection, "email", 9, userid=1) == {1: [9]}
        assert notifications.mailed(connection, "email", 0, userid=2) == {}


@pytest.mark.parametrize("logger", ["sqlalchemy.pool.impl.QueuePool", "psycopg"])
def test_libraries_write_nothing_of_a_connection_that_is_gone(logger):
    code = (
        "import logging; from moodlemlbackend.analytics.databases import make_engine, parse_url; "
        f"make_engine(parse_url('sqlite:///x', 'The store')); logging.getLogger('{logger}').error('lost')"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, cwd=ROOT)
    assert ended.stderr == b""
