"""Settings: where a value comes from, and what an admin is told about a bad one."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from fixtures.paths import ROOT
from moodlemlbackend import __version__
from moodlemlbackend.errors import UsageError
from moodlemlbackend.settings.analytics import load_analytics_settings
from moodlemlbackend.settings.backend import SETTINGS, Settings, load_settings, reported_version
from moodlemlbackend.settings.loading import FILE_BYTES, FILE_NAME
from moodlemlbackend.settings.server import load_server_settings


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """Neither this machine's settings file nor its variables: an environment prefix without one."""
    for name in list(os.environ):
        if name.startswith("MOODLEMLBACKEND_"):
            monkeypatch.delenv(name)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "prefix"))
    if Path("/etc", FILE_NAME).exists():
        pytest.skip("this machine has a settings file of its own")


@pytest.fixture
def settings_file(monkeypatch, tmp_path):
    """Return a function that writes the settings file and names it in the environment."""

    def write(text: str | bytes) -> Path:
        path = tmp_path / "chosen.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", str(path))
        return path

    return write


def test_the_table_and_the_settings_have_the_same_keys():
    assert list(SETTINGS) == [field.name for field in dataclasses.fields(Settings)]
    assert {key: setting.default for key, setting in SETTINGS.items()} == dataclasses.asdict(Settings())


def test_defaults():
    assert load_settings() == Settings(__version__, "neural_network", "mcc", "course", 600.0, None)


def test_option_before_variable_before_file_before_default(monkeypatch, settings_file):
    settings_file("[moodlemlbackend]\n# ours\n; and theirs\nseed = 1\nlock_wait = 5\nscore = f1\n")
    monkeypatch.setenv("MOODLEMLBACKEND_SEED", "2")
    monkeypatch.setenv("MOODLEMLBACKEND_LOCK_WAIT", " 6.5 ")
    assert load_settings(seed=3, score=None) == Settings(score="f1", lock_wait=6.5, seed=3)


def test_the_file_of_the_environment_is_found(tmp_path):
    folder = tmp_path / "prefix" / "etc"
    folder.mkdir(parents=True)
    (folder / FILE_NAME).write_bytes(b"\xef\xbb\xbf[moodlemlbackend]\r\nprocessor = logistic_regression\r\n")
    assert load_settings().processor == "logistic_regression"


def test_what_is_empty_counts_as_not_given(monkeypatch, settings_file):
    settings_file("[moodlemlbackend]\nscore =\nseed = none\n")
    monkeypatch.setenv("MOODLEMLBACKEND_PROCESSOR", " ")
    assert load_settings() == Settings()


@pytest.mark.parametrize(
    ("key", "bad"),
    [
        ("reported_version", "three"),
        ("reported_version", "4"),
        ("reported_version", "2.6.5; rm"),
        ("processor", "Neural Network"),
        ("processor", "../x"),
        ("score", "accuracy"),
        ("lock_wait", "-1"),
        ("lock_wait", "nan"),
        ("lock_wait", "ten"),
        ("lock_wait", "86401"),
        ("seed", "1.5"),
        ("seed", "-1"),
        ("seed", "\N{ARABIC-INDIC DIGIT ONE}"),
    ],
)
def test_a_bad_value_names_its_origin_and_what_is_allowed(monkeypatch, settings_file, key, bad):
    file = settings_file(f"[moodlemlbackend]\n{key} = {bad}\n")
    variable = SETTINGS[key].variable
    for origin, load in (
        (f"{key} setting in {file}", load_settings),
        (f"environment variable {variable}", lambda: (monkeypatch.setenv(variable, bad), load_settings())),
        (f"option --{key.replace('_', '-')}", lambda: load_settings(**{key: bad})),
    ):
        with pytest.raises(UsageError) as told:
            load()
        assert origin in str(told.value)
        assert SETTINGS[key].allowed in str(told.value)


@pytest.mark.parametrize("value", ["correct horse #1 battery", "#1", "a ; b", "p;q#r", "%(x)s 100 %", "a=b: c", "'q'"])
def test_a_value_is_all_that_stands_in_its_line(settings_file, value):
    settings_file(f"[analytics]\nsmtp_password = {value}\nsite = {value}\n[server]\ndirectory = x\nusers: {value}\n")
    assert load_analytics_settings().smtp_password == load_analytics_settings().site == value
    assert load_server_settings().users == value


def test_a_file_that_is_too_long_to_be_read_whole(settings_file):
    file = settings_file("[moodlemlbackend]\n" + "#\n" * (FILE_BYTES // 2) + "score = f1\n")
    with pytest.raises(UsageError, match=f"{file} is longer than"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[moodlemlbackend]\nscroe = f1\n", "an unknown key 'scroe'"),
        ("[moodlemlbackend]\nscore = f1\nscore = mcc\n", "not a valid INI file"),
        ("score = f1\n", "not a valid INI file"),
        ("[moodle]\nscore = f1\n", "section [moodle]"),
        (b"[moodlemlbackend]\nscore = \xff\n", "not a valid INI file"),
    ],
)
def test_a_bad_file_is_named(settings_file, text, words):
    file = settings_file(text)
    with pytest.raises(UsageError) as told:
        load_settings()
    assert str(file) in str(told.value)
    assert words in str(told.value)


def test_a_file_that_cannot_be_read_is_named(monkeypatch, tmp_path):
    for path in (tmp_path / "missing.ini", tmp_path):
        monkeypatch.setenv("MOODLEMLBACKEND_SETTINGS", str(path))
        with pytest.raises(UsageError, match="that MOODLEMLBACKEND_SETTINGS names cannot be read"):
            load_settings()
        assert reported_version() == __version__


def test_an_unknown_option():
    with pytest.raises(UsageError, match="no setting 'colour'"):
        load_settings(colour="red")


def numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, version.split(".")))


def test_each_major_version_is_one_that_its_moodles_accept(monkeypatch):
    moodles = {"1": [(1, 0, 1)], "2": [(2, 3, 0), (2, 6, 5)], "3": [(3, 0, 4), (3, 0, 5)]}
    for major, required in moodles.items():
        monkeypatch.setenv("MOODLEMLBACKEND_REPORTED_VERSION", major)
        version = reported_version()
        assert load_settings().reported_version == version
        assert all(minimum <= numbers(version) < (minimum[0] + 1,) for minimum in required)


def test_the_version_from_the_file(settings_file):
    settings_file("[moodlemlbackend]\nreported_version = 2.6.5\nunknown = key\n")
    assert reported_version() == "2.6.5"


@pytest.mark.parametrize("text", ["[moodlemlbackend]\nreported_version = x\n", "reported_version = 2\n", b"\xff\x00"])
def test_the_version_never_fails(monkeypatch, settings_file, text):
    settings_file(text)
    assert reported_version() == __version__
    monkeypatch.setenv("MOODLEMLBACKEND_REPORTED_VERSION", "\udcff\n")
    assert reported_version() == __version__


def test_reading_the_version_is_light():
    code = (
        "import sys; from moodlemlbackend.settings.backend import reported_version\n"
        "print(reported_version()); print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    version, modules = result.stdout.splitlines()
    assert version == __version__
    assert not {"numpy", "logging", "argparse"} & set(modules.split())
