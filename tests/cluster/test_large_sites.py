"""A cluster as large sites have it: TLS between its parts, data in an object store, site and store in PostgreSQL."""

from __future__ import annotations

import json

import pytest

from fixtures.object_stores import BUCKET, needs_moto
from fixtures.paths import posix

pytest.importorskip("distributed", reason="needs the extra cluster")

import dask
import numpy as np

from fixtures.clusters import certificates, double, machines
from fixtures.databases import new_database
from fixtures.trained_sites import COURSES, NOW, STUDENTS, enabled, new_workspace, rows
from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db.schema import INDICATOR_CALC, PREDICTIONS
from moodlemlbackend.cluster import Files, using
from moodlemlbackend.errors import ClusterError
from moodlemlbackend.simulation.site.build import write_site

pytestmark = posix
OBJECTS = f"s3://{BUCKET}/scratch"


def kept_objects():
    import s3fs

    return s3fs.S3FileSystem(skip_instance_cache=True).find(BUCKET)


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    """Two workers that trust whoever has the certificates, and the settings that name these."""
    folder = tmp_path_factory.mktemp("secured")
    settings = certificates(folder / "certificates")
    with machines(folder / "machines", protocol="tls", **settings) as made:
        assert made.address.startswith("tls://127.0.0.1:")
        yield made, settings


def in_this_process(settings):
    """Settings of the environment, for a block; Dask reads those when it is loaded."""
    return dask.config.set({name[5:].lower().replace("__", "."): value for name, value in settings.items()})


@needs_moto
def test_data_travel_through_an_object_store(s3):
    files = Files(f"{OBJECTS}/run")
    name, other = files.write({"rows": 3}, {"ids": np.arange(3)}), files.write({}, {})
    assert len(kept_objects()) == 2
    facts, arrays = files.read(name, last=True)
    assert (facts, arrays["ids"].tolist()) == ({"rows": 3}, [0, 1, 2])
    assert [path.rpartition("/")[2] for path in kept_objects()] == [other]
    files.remove_all()
    assert not kept_objects()


def trained_and_predicted(command, site, store, folder, env):
    """What training and predicting by command give."""
    with new_workspace(folder, store=store) as workspace:
        modelid = enabled(workspace)
        where = ["--site", site, "--store", store, "--directory", folder, "--now", str(NOW), "--json"]
        told = []
        for task in ("train", "predict"):
            done = command("tasks", task, *where, env=env)
            assert (done.returncode, done.stderr) == (0, "")
            told.append([{**run, "seconds": None} for run in json.loads(done.stdout)["models"]])
        with workspace.store.read() as connection:
            [arrays] = workspace.executiondir(models.get(connection, modelid)).rglob("arrays.safetensors")
        return told, rows(workspace, INDICATOR_CALC), rows(workspace, PREDICTIONS), arrays.read_bytes()


@needs_moto
def test_training_and_predicting_on_a_large_site(secured, s3, command, tmp_path):
    made, settings = secured
    cluster = {"MOODLEMLBACKEND_CLUSTER": made.address, "MOODLEMLBACKEND_CLUSTER_FILES": OBJECTS, **settings}
    with (
        new_database("postgresql", tmp_path) as site,
        new_database("postgresql", tmp_path) as one_store,
        new_database("postgresql", tmp_path) as two_store,
    ):
        write_site(site, courses=COURSES, students=STUDENTS, seed=1, now=NOW)
        one = trained_and_predicted(command, site, one_store, tmp_path / "one", {})
        two = trained_and_predicted(command, site, two_store, tmp_path / "two", cluster)
    assert one == two
    assert len(one[2]) >= 5
    assert one[1]
    assert not kept_objects()


def test_who_has_no_certificate_or_a_foreign_one_is_not_let_in(secured, tmp_path):
    made, settings = secured
    sentence = f"^The scheduler {made.address} does not answer; .* with tls:// Dask's certificates"
    for strangers in ({}, certificates(tmp_path / "foreign")):
        with (
            in_this_process(strangers),
            pytest.raises(ClusterError, match=sentence),
            using(made.address, str(tmp_path)),
        ):
            pass
    with in_this_process(settings), using(made.address, str(tmp_path)) as cluster:
        assert [value for value, _ in cluster.each(double, range(3))] == [0, 2, 4]
