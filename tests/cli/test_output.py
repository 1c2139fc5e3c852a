"""What commands print: for any terminal and any program, whatever names and outputs there are."""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from click.exceptions import Exit
from click.testing import CliRunner

from fixtures.paths import ROOT
from moodlemlbackend.cli import main
from moodlemlbackend.cli.errors import reporting_errors
from moodlemlbackend.cli.output import writing

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from moodlemlbackend.simulation.site.build import write_site

NOW = "1795366777"
HOSTILE = "\x1b[2J\x1b]0;title\x07Zoë − ‮evil\x9b31m\r\nrow"
"""A name that clears the screen, sets the title, turns the text round and begins another line."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A site all of whose courses have such a name."""
    path = tmp_path_factory.mktemp("site") / "site.db"
    write_site(f"sqlite:///{path}", courses=4, students=6, seed=1, now=int(NOW))
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE mdl_course SET shortname = ? || id, fullname = ? WHERE id > 1", (HOSTILE, HOSTILE))
        database.execute("UPDATE mdl_user SET firstname = ?", (HOSTILE,))
    return path


@pytest.fixture
def run(site, tmp_path, monkeypatch):
    """Return a function that runs a command on that site and returns what came of it."""
    for name in list(os.environ):
        if name.startswith("MOODLEMLBACKEND_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MOODLEMLBACKEND_SITE", str(site))
    monkeypatch.setenv("MOODLEMLBACKEND_DIRECTORY", str(tmp_path / "work"))
    return lambda *words: CliRunner().invoke(main, words)


@pytest.mark.parametrize(
    "words",
    [
        ("site", "check", "--all", "--now", NOW),
        ("models", "invalid", "1", "--now", NOW),
        ("models", "train", "5", "--all", "--now", NOW),
        ("tasks", "predict", "--now", NOW),
        ("insights", "list", "--now", NOW),
        ("guess-course-start-and-end", "--guessall", "--now", NOW),
        ("models", "create", "--target", HOSTILE),
    ],
)
def test_a_terminal_has_nothing_to_obey(run, words, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    if words[0] == "insights":
        run("tasks", "predict", "--now", NOW)
    done = run(*words)
    assert not isinstance(done.exception, (OSError, ValueError))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", done.output)
    if words[0] == "site":
        assert "\ufffd[2J\ufffd]0;title\ufffdZoë − \ufffdevil\ufffd31m row" in done.output


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "cp437"])
@pytest.mark.parametrize(
    "words",
    [("site", "check", "--all", "--now", NOW), ("models", "list")],
)
def test_an_output_of_another_encoding(command, site, tmp_path, encoding, words):
    env = {
        "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0",
        "MOODLEMLBACKEND_SITE": str(site), "MOODLEMLBACKEND_DIRECTORY": str(tmp_path),
    }  # fmt: skip
    arguments = [sys.executable, "-m", "moodlemlbackend", *words]
    done = subprocess.run(arguments, env={**os.environ, **env}, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = done.stdout.decode("utf-8" if encoding == "ascii" else encoding)
    if words[0] == "site":
        assert ("Zoë" if encoding != "ascii" else "Zo") in shown


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
@pytest.mark.parametrize("output", [">/dev/full", ">&-"])
@pytest.mark.parametrize("words", ["version", "--help", "models list --json"])
def test_an_output_that_takes_nothing(tmp_path, output, words):
    call = f'"{sys.executable}" -m moodlemlbackend {words} {output}'
    env = {**os.environ, "MOODLEMLBACKEND_DIRECTORY": str(tmp_path)}
    done = subprocess.run(call, shell=True, env=env, capture_output=True, text=True)
    if output == ">&-" and "--help" in words:
        return  # click says nothing where there is no output
    assert done.returncode == 1
    assert done.stderr.startswith("Standard output cannot be written to: ")
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_gone_is_no_fault_of_the_output(tmp_path, capsys):
    gone = tmp_path / "gone"
    with pytest.raises(Exit) as end, reporting_errors(as_json=False), writing("stdout"):
        gone.read_bytes()
    assert end.value.exit_code == 1
    sentence = f"Cannot use {gone}: No such file or directory; check that it exists and that its disk is mounted.\n"
    assert capsys.readouterr().err == sentence


def test_a_connection_that_is_gone_is_no_fault_of_the_output():
    for gone in (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), OSError("Stream is closed")):
        with pytest.raises(type(gone)) as raised, writing("stdout"):
            raise gone
        assert raised.value is gone


def test_a_reader_that_has_gone_needs_no_sentence(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-m", "moodlemlbackend", "version"], stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.parametrize(
    ("words", "keys"),
    [
        (("version",), {"version"}),
        (("site", "check", "--now", NOW), {"courses", "invalid", "warnings"}),
        (("models", "list"), {"models"}),
        (("models", "show", "1"), {"model"}),
        (("models", "restore"), {"models"}),
        (("models", "log", "1"), {"evaluations", "runs", "marks"}),
        (("models", "invalid", "1", "--now", NOW), {"invalid"}),
        (("insights", "list"), {"insights"}),
        (("insights", "notifications"), {"notifications"}),
        (("insights", "preferences", "3"), {"user", "email"}),
        (("insights", "send"), {"sent", "waiting"}),
        (("tasks", "cleanup", "--now", NOW), {"removed", "failed"}),
        (("enable-model", "--list"), {"models"}),
        (("guess-course-start-and-end",), {"courses"}),
        (("models", "show", "99"), {"errors"}),
        (("insights", "list", "--course", "999"), {"errors"}),
        (("passwd", "colon:user"), {"errors"}),
        (("report", "nothing"), {"errors"}),
        (("compare", "nothing"), {"errors"}),
        (("explain", "nothing", "nothing", "1-1"), {"errors"}),
    ],
)
def test_json_has_one_shape(run, words, keys):
    done = run(*words, "--json")
    told = json.loads(done.stdout)
    assert told["status"] == done.exit_code
    assert all(isinstance(sentence, str) for sentence in told["info"])
    assert keys <= set(told)
    assert ("errors" in told) is (done.exit_code != 0)
    assert done.stderr == (told["errors"][0] + "\n" if done.exit_code else "")


def test_export_and_import_have_json_as_well(command, courses, tmp_path):
    command("train", "m", tmp_path / "m", courses.training, "--processor", "logistic_regression")
    exported = json.loads(command("export", "m", tmp_path / "m", tmp_path / "e", "--json").stdout)
    assert exported == {"status": 0, "info": [str(tmp_path / "e")]}
    assert command("import", "n", tmp_path / "n", tmp_path / "e", "--json").stdout == '{"status": 0, "info": ["Ok"]}\n'


def test_every_command_takes_site_and_prefix_from_the_settings_file(command, site, tmp_path):
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(site)) as database, database, closing(sqlite3.connect(other)) as copy, copy:
        database.backup(copy)
        for (name,) in copy.execute(
            "SELECT name FROM sqlite_master WHERE name LIKE 'mdl_%' AND type = 'table'"
        ).fetchall():
            copy.execute(f"ALTER TABLE {name} RENAME TO {name.replace('mdl_', 'm25_')}")
    settings = tmp_path / "settings.ini"
    settings.write_text(
        f"[analytics]\nsite = {other}\nprefix = m25_\ntime_zone = Europe/Madrid\ndirectory = {tmp_path / 'w'}\n"
    )
    env = {"MOODLEMLBACKEND_SETTINGS": str(settings)}
    for words in (
        ("site", "check", "--now", NOW),
        ("site", "dataset", "--now", NOW, "--target", "no_teaching", "--interval", "single_range", "--unlabelled",
         "-o", tmp_path / "d.csv"),
        ("models", "invalid", "1", "--now", NOW),
        ("tasks", "train", "--now", NOW),
        ("guess-course-start-and-end", "--now", NOW),
    ):  # fmt: skip
        done = command(*words, env=env)
        assert done.returncode == 0 or "has no samples" in done.stderr, done.stderr
    assert "time zone Europe/Madrid" in command("site", "check", "--now", NOW, env=env).stdout


def test_all_that_is_printed_goes_one_way():
    for path in sorted((ROOT / "cli").rglob("*.py")):
        if path.name != "output.py":
            assert not re.search(r"click\.(echo|secho)|ClickException|Console\(|[^_]print\(", path.read_text()), path


@pytest.mark.skipif(os.name == "nt", reason="needs modes of files")
@pytest.mark.parametrize(("shared", "folder_mode", "file_mode"), [(False, 0o700, 0o600), (True, 0o2770, 0o660)])
def test_what_is_made_is_for_the_user_alone_or_for_a_group(site, tmp_path, shared, folder_mode, file_mode):
    work = tmp_path / "work"
    if shared:
        work.mkdir()
        work.chmod(0o2770)
    env = {**os.environ, "MOODLEMLBACKEND_SITE": str(site), "MOODLEMLBACKEND_DIRECTORY": str(work)}
    call = [sys.executable, "-m", "moodlemlbackend", "tasks", "predict", "--now", NOW]
    done = subprocess.run(["sh", "-c", 'umask 022; exec "$@"', "sh", *call], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    modes = {path: path.stat().st_mode & 0o7777 for path in (work, *work.rglob("*"))}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {folder_mode}
    assert {mode for path, mode in modes.items() if path.is_file()} == {file_mode}
    assert work / "store.sqlite" in modes
