"""Equal to Moodle, cell by cell, in the one course of the oracle that is in the repository."""

from __future__ import annotations

import io

import pytest

from fixtures.oracle import ORACLE_COURSE, analysis, compare_by_id, load_sqlite, read_lines, read_with_ids
from moodlemlbackend.analytics.features.datasets import write_dataset
from moodlemlbackend.analytics.site import open_site

DATA_SETS = ORACLE_COURSE / "datasets/evaluation"
NAMES = sorted(path.name.partition(".")[0] for path in DATA_SETS.glob("*.rows.csv.gz"))


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with open_site(load_sqlite(tmp_path_factory.mktemp("course") / "site.sqlite", ORACLE_COURSE)) as opened:
        yield opened


def test_four_targets_and_four_time_splittings_are_there():
    assert len(NAMES) == 7
    assert [len({name.split("--")[part] for name in NAMES}) for part in (0, 1)] == [4, 4]


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_and_range_is_moodles(site, name):
    file, results = io.BytesIO(), []
    write_dataset(file, site, analysis(*name.split("--")), progress=results.append)
    lines = file.getvalue().decode().splitlines()
    assert lines[2] == read_lines(DATA_SETS / f"{name}.with-ids.data.csv.gz")[0]
    expected = read_with_ids(name, ORACLE_COURSE)
    assert len(expected) >= 24
    compare_by_id(expected, results, lines[3:])
