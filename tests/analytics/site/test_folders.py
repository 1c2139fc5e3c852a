"""Folders of tables: null markers, delimiters, encodings, and what cannot be read."""

from __future__ import annotations

import csv
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

from fixtures.busy_courses import busy_course, plan, small
from fixtures.small_site import END, NOW
from moodlemlbackend.analytics.features.analysis import analyse
from moodlemlbackend.analytics.features.registry import get_target, indicators_of
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.analytics.site.moodle_models import PREDICTING_TASK, predicting_targets
from moodlemlbackend.errors import SiteError, UsageError

_ = small  # a fixture


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet"])
def test_a_folder_of_tables(small, tmp_path, ending):
    busy_course(small, shortname="2024")
    small.add("analytics_models", enabled=1, trained=1, target=r"\local\own")
    small.add("task_scheduled", classname=PREDICTING_TASK, disabled=0)
    folder = small.export(tmp_path / "tables", ending)
    with small.open() as site:
        [expected] = analyse(site, plan())
    with open_site(folder) as site:
        temporary = Path(urlsplit(site.database.url).path)
        assert temporary.is_file()
        assert site.name == str(folder)
        [found] = analyse(site, plan())
        assert found.analysable.name == "2024"
        assert predicting_targets(site) == [r"\local\own"]
    np.testing.assert_array_equal(found.features.values, expected.features.values)
    assert not temporary.parent.exists()


def write_again(folder, delimiter, encoding):
    """Write the tables of a folder otherwise."""
    for path in folder.glob("*.csv"):
        with path.open(newline="") as file:
            rows = list(csv.reader(file))
        with path.open("w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=delimiter).writerows(rows)


@pytest.mark.parametrize("null", ["NULL", r"\N", "null", "-"])
def test_null_as_others_write_it(small, tmp_path, null):
    course, users = busy_course(small)
    small.set("UPDATE mdl_course SET enablecompletion = 1")
    small.add("course_completion_criteria", course=course)
    small.set("UPDATE mdl_user SET lastname = 'Null', description = NULL")
    for user, done in zip(users, (END, None, None), strict=True):
        small.add("course_completions", course=course, userid=user, timecompleted=done)
    folder = small.export(tmp_path / "tables", "csv")
    indicators = [*indicators_of(get_target("course_dropout")), r"\core_user\analytics\indicator\user_profile_set"]
    with open_site(folder) as site:
        [expected] = analyse(site, plan(indicators=indicators))
    assert expected.labels.tolist() == [0, 1, 1] * 4
    folder = small.export(tmp_path / "others", "csv", null)
    with open_site(f"{folder}?null=-" if null == "-" else folder) as site:
        [found] = analyse(site, plan(indicators=indicators))
        assert site.database.rows("SELECT DISTINCT lastname, description FROM {user}") == [("Null", None)]
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.features.values, expected.features.values)


@pytest.mark.parametrize("text", ["2026-03-01", "1,795", "1.76E+09", "nan", "1e400", "\u0661", "-", "9" * 20])
def test_what_is_no_number_is_refused_with_its_place(small, tmp_path, text):
    busy_course(small)
    folder = small.export(tmp_path / "tables", "csv")
    rows = [["userid", "course", "timecompleted", "note"], [1, 1, "NULL", text], [2, 1, text, ""]]
    with (folder / "course_completions.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(SiteError) as raised:
        open_site(folder)
    said = (
        f"Row 3 of {folder / 'course_completions.csv'} has {text!r} in the column timecompleted, which is not a number"
    )
    assert str(raised.value).startswith(said)


def test_delimiter_and_encoding_follow_the_folder(small, tmp_path, command):
    busy_course(small, shortname="F\u00edsica")
    folder = small.export(tmp_path / "tables", "csv")
    write_again(folder, ";", "cp1252")
    with pytest.raises(SiteError, match=r"add it after the folder"):
        open_site(folder)
    with open_site(f"{folder}?delimiter=;&encoding=cp1252") as site:
        assert [course.shortname for course in site.courses] == ["F\u00edsica"]
    shown = command("site", "check", "--site", f"{folder}/?delimiter=%3B&encoding=cp1252", "--now", str(NOW))
    assert (shown.returncode, shown.stderr) == (0, "")
    for query, said in {
        "separator=;": "no option 'separator'", "delimiter=ab": "not one character", "encoding=x": "no encoding 'x'",
    }.items():  # fmt: skip
        with pytest.raises(UsageError, match=said):
            open_site(f"{folder}?{query}")


def test_folders_that_cannot_be_read(small, tmp_path):
    with pytest.raises(SiteError, match="has none of Moodle's tables"):
        open_site(tmp_path)
    folder = small.export(tmp_path / "tables", "csv")
    (folder / "course.csv").write_text("id,shortname\n1,a\n2\n")
    with pytest.raises(SiteError, match=r"Row 3 of .*course.csv has 1 fields but must have 2"):
        open_site(folder)
    (folder / "course.csv").write_bytes(b"id,name\n1,\xff\xfe\n")
    with pytest.raises(SiteError, match=r"course.csv cannot be read"):
        open_site(folder)
    (folder / "course.csv").write_text("")
    with pytest.raises(SiteError, match="is empty"):
        open_site(folder)
    (folder / "course.csv").unlink()
    (folder / "course.parquet").write_text("no parquet")
    with pytest.raises(SiteError, match=r"course.parquet cannot be read"):
        open_site(folder)
