"""A site without chat and survey, as every Moodle 5: their indicators are in no model, data set or package."""

from __future__ import annotations

import csv
import json
import zipfile

import pytest

from fixtures.trained_sites import DROPOUT, NOW, QUARTERS, model_of, new_workspace
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.lifecycle import packages
from moodlemlbackend.analytics.lifecycle.core_models import fit_core_model, restore_core_models
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.errors import PackageError, UsageError
from moodlemlbackend.simulation.site.build import write_site

CHAT = r"\mod_chat\analytics\indicator\cognitive_depth"
FORUM = r"\mod_forum\analytics\indicator\cognitive_depth"


@pytest.fixture(scope="module")
def site_url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('site') / 'site.sqlite'}"
    write_site(url, courses=8, students=10, seed=1, now=NOW, schema="5.0")
    return url


@pytest.fixture
def site(site_url):
    with open_site(site_url) as opened:
        yield opened


@pytest.fixture
def workspace(tmp_path):
    with new_workspace(tmp_path) as made:
        yield made


def get(workspace, modelid):
    with workspace.store.read() as connection:
        return models.get(connection, modelid)


def test_there_are_45_indicators_of_students_at_risk(site):
    assert len(definitions.core_indicators(DROPOUT)) == 49
    found = definitions.core_indicators(DROPOUT, site.modules)
    assert len(found) == 45
    assert not [one for one in found if "chat" in one or "survey" in one]


def test_the_core_model_loses_them_before_it_learns(workspace, site):
    modelid = model_of(workspace, DROPOUT)
    assert len(get(workspace, modelid).indicators) == 49  # no site was known when it was made
    fit_core_model(workspace, site, modelid)
    fitted = get(workspace, modelid)
    assert fitted.indicators == definitions.core_indicators(DROPOUT, site.modules)
    fit_core_model(workspace, site, modelid)
    assert get(workspace, modelid) == fitted


def test_a_model_of_ones_own_choice_keeps_its_indicators(workspace, site):
    made = models.create(workspace, DROPOUT, [CHAT, FORUM], interval=QUARTERS)
    fit_core_model(workspace, site, made.id)
    assert get(workspace, made.id).indicators == (CHAT, FORUM)


def test_a_core_model_is_restored_without_them(workspace, site):
    packages.remember_components(workspace, site)
    models.remove(workspace, model_of(workspace, DROPOUT))
    [made] = restore_core_models(workspace)
    assert len(made.indicators) == 45
    assert restore_core_models(workspace) == []


def test_a_package_has_none_and_an_import_that_names_them_is_refused(workspace, site, tmp_path):
    made = models.create(workspace, DROPOUT, [CHAT, FORUM], interval=QUARTERS)
    archive = tmp_path / "model.zip"
    packages.export_model(workspace, made.id, archive, weights=False)  # no site was known
    packages.remember_components(workspace, site)
    with pytest.raises(PackageError, match="does not have: chat"):
        packages.import_model(workspace, archive)
    with pytest.raises(UsageError, match=r"does not have \(chat\)"):
        packages.export_model(workspace, made.id, archive)
    packages.export_model(workspace, made.id, archive, weights=False)
    with zipfile.ZipFile(archive) as file:
        configuration = json.loads(file.read(packages.CONFIGURATION))
    assert configuration["indicators"] == [FORUM]
    assert "mod_chat" not in configuration["dependencies"]
    assert packages.import_model(workspace, archive).model.indicators == (FORUM,)


def test_a_data_set_has_no_columns_of_them(site_url, command, tmp_path):
    output = tmp_path / "x.csv"
    done = command(
        "site", "dataset", "--site", site_url, "--target", "course_dropout", "--interval", "quarters", "--now",
        str(NOW), "-o", output,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    with output.open(newline="") as file:
        _, about, columns = (next(csv.reader(file)) for _ in range(3))
    assert int(about[1]) == len(columns) - 1 == 4 + 4 + 41 * 2
    assert not [one for one in columns if "chat" in one or "survey" in one]
