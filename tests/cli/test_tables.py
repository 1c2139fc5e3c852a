"""Tables: within any width, without a broken word, and as CSV that no spreadsheet runs."""

from __future__ import annotations

import csv
import io

import pytest

from moodlemlbackend.cli.output import print_sentence
from moodlemlbackend.cli.tables import Table, print_csv, print_table

COURSES = Table(
    ("ID", "Course", "Students", "Why"),
    [
        (1, "Introductory Biology", 1_234_567, "It has no end date; set one in Moodle"),
        (22, "化学 for beginners", 30, None),
    ],
    right=("ID", "Students"),
    least=("Why",),
)


@pytest.mark.parametrize("width", [200, 80, 60, 34, 33, 26])
def test_a_table_fits_and_breaks_no_word(capsys, monkeypatch, width):
    from rich.cells import cell_len

    monkeypatch.setenv("COLUMNS", str(width))
    print_table(COURSES)
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    assert all(cell_len(line) <= width for line in lines if "Left out" not in line)
    for word in ("Introductory", "Biology", "1234567", "化学", "beginners"):
        assert word in shown
    assert ("Left out" in shown) != ("Moodle" in shown)
    assert ("Left out" in shown) is (width < 34)


def test_rows_become_lines_where_no_column_can_go(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_table(Table(("ID", "Folder"), [(1, "/var/lib/moodlemlbackend/models/1"), (2, "x")], "Folders"))
    assert capsys.readouterr().out == (
        "Folders\n\nID      1\nFolder  /var/lib/moodlemlbackend/models/1\n\nID      2\nFolder  x\n"
    )


def test_an_empty_table_is_a_sentence_or_nothing(capsys):
    print_table(Table(("ID",), [], "Runs", empty="No runs yet."))
    print_table(Table(("ID",), [], "Marks"))
    assert capsys.readouterr().out == "No runs yet.\n"


def test_a_title_is_one_line_and_a_column_without_a_value_is_not_shown(capsys):
    title = "Students who have not accessed the course"
    print_table(Table(("ID", "Because", "Name"), [(1, None, "Ada"), (2, "", "Ben")], title))
    assert capsys.readouterr().out == f"{title}\nID  Name\n1   Ada\n2   Ben\n"


def test_a_sentence_breaks_between_words_on_a_terminal_only(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    print_sentence("  Choose an interval that predicts in time.")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_sentence("  Choose an interval that predicts in time.")
    assert capsys.readouterr().out == (
        "  Choose an interval that predicts in time.\n  Choose an interval\n  that predicts in\n  time.\n"
    )


def test_csv_has_every_column_and_nothing_that_a_spreadsheet_runs(capsys):
    cells = ["=1+1", "+0.25", "-3", "-12 %", "@sum", "-cmd|' /C calc'!A0", 'a "b", c', "x\ny", "\u2212", None]
    print_csv([Table(("A", "B"), [(cell, 1) for cell in cells], least=("B",))])
    head, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert head == ["A", "B"]
    assert [row[0] for row in rows] == [
        "'=1+1", "+0.25", "-3", "-12 %", "'@sum", "'-cmd|' /C calc'!A0", 'a "b", c', "x y", "\u2212", "",
    ]  # fmt: skip
    assert {row[1] for row in rows} == {"1"}


def test_several_tables_are_one_in_csv(capsys):
    print_csv([Table(("ID", "A"), [(1, "x")], "First"), Table(("ID", "B"), [(2, "y")], "Second")])
    assert capsys.readouterr().out == "Table,ID,A,B\nFirst,1,x,\nSecond,2,,y\n"
