"""Random lives of models, against a simple model of what must hold; some steps are killed in the middle.

A life is that of a model to which, once it is made, something more happens; some models live in a store at a time.
``LIVES=100000`` in the environment runs that many, ``make lives``; the suite runs a few, always the same. Two things
are not as in real trainings, because a life would take seconds: a training runs in this process and writes no report,
and a linear solver stands in for scikit-learn's. The store, the site, data sets, published models and packages are
real.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest

pytest.importorskip("sqlalchemy", reason="needs the extra analytics")

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from sqlalchemy import event, select
from sqlalchemy.engine import Engine

from fixtures.paths import posix
from fixtures.small_site import DAY, NOW, WEEK, SmallSite
from fixtures.trained_sites import DROPOUT, PROCESSOR, QUARTERS, SHORT, SINGLE_RANGE, operations_here
from moodlemlbackend.analytics import lifecycle, models
from moodlemlbackend.analytics.db import database, facts
from moodlemlbackend.analytics.db import models as rows_of_models
from moodlemlbackend.analytics.db.schema import PREDICTIONS, RISKS, TRAIN_SAMPLES
from moodlemlbackend.analytics.lifecycle import backend, packages
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.analytics.site import open_site
from moodlemlbackend.errors import BackendError, NotTrainedError, Status, UsageError
from moodlemlbackend.operations.trained_models import model_in_force
from moodlemlbackend.processor import logistic_regression
from moodlemlbackend.report import run_report
from moodlemlbackend.settings.analytics import AnalyticsSettings
from moodlemlbackend.storage.model_store import ModelStore

pytestmark = posix

LIVES = int(os.environ.get("LIVES", "0"))
"""At least so many; if 0, those of a few worlds that are always the same."""
WORLDS = 12
AT_ONCE = 100
"""Worlds of one run of the machine, which remembers all of them."""
STEPS, MODELS = 20, 5

COURSES, STUDENTS = 4, 4
INTERVALS = (SINGLE_RANGE, QUARTERS)
INDICATORS = SHORT[:2]
TRAINING = models.training_fact(0).removesuffix("0")
PROBES = np.array([[a, b, b] for a in (-1, 0, 1) for b in (-1, 0.5)], np.float32)

counted: Counter[str] = Counter()


def course_end(number: int) -> int:
    """Courses end one after the other."""
    return NOW + (number - 1) * 2 * WEEK + DAY


def make_site(folder: Path) -> str:
    """Courses of ten weeks with a few students, half of whom are there to the end."""
    small = SmallSite(folder / "site.sqlite")
    for number in range(COURSES):
        end = course_end(number)
        start = end - 10 * WEEK
        course = small.course(startdate=start, enddate=end)
        small.enrol(course, small.user(), 3)
        for student, user in enumerate(small.students(course, STUDENTS)):
            for day in range(8 + 3 * student):
                small.log(course, user, start + day * DAY + student, crud="cr"[(day + student) % 2])
            if student % 2:
                small.log(course, user, end - DAY, crud="c")
    return small.commit()


def solve(inputs: Any, targets: Any) -> tuple[Any, Any]:
    """Weights (inputs, K) and bias (K,) by one step of ridge regression."""
    rows = targets.sum(axis=1, keepdims=True)
    shares = (targets + 0.1) / (rows + 0.1 * targets.shape[1])
    design = np.hstack([inputs, np.ones((len(inputs), 1))])
    found = np.linalg.solve(design.T @ (rows * design) + np.eye(design.shape[1]), design.T @ (rows * np.log(shares)))
    return found[:-1].astype(np.float64), found[-1].astype(np.float64)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with (
        operations_here(),
        mock.patch.object(database, "_engine", cache(database._engine)),  # it keeps its statements from world to world
        mock.patch.object(run_report, "RunReport"),
        mock.patch.object(logistic_regression, "_solve", solve),
    ):
        yield


@dataclass(frozen=True)
class Expected:
    """What must be true of a model: ``courses`` are those it has learned from here, ``answers`` those to the probes."""

    interval: str
    enabled: bool = False
    name: str = ""
    trained: bool = False
    version: int = 0
    courses: int = 0
    answers: tuple[float, ...] | None = None
    predictions: int = 0
    interrupted: bool = False


NEW = {"trained": False, "courses": 0, "answers": None, "predictions": 0, "interrupted": False}
"""What a model is that has learned nothing."""


class World:
    """A store and a site at a moment."""

    def __init__(self, folder: Path, site: str) -> None:
        self.folder, self.url, self.now = folder, site, NOW
        self.open()

    def open(self) -> None:
        chosen = AnalyticsSettings(directory=str(self.folder), wwwroot="https://moodle.example", notifications=False)
        self.workspace = open_workspace(chosen, now=self.now)
        self.site = open_site(self.url)
        self._answers: dict[tuple[str, str], tuple[float, ...]] = {}

    def close(self) -> None:
        self.workspace.store.close()
        self.site.close()

    def at(self, now: int) -> None:
        self.now = now
        self.workspace = replace(self.workspace, clock=lambda: now)

    @property
    def finished(self) -> int:
        """How many courses are over."""
        return sum(course_end(number) < self.now for number in range(COURSES))

    def ids(self) -> set[int]:
        with self.workspace.store.read() as connection:
            return rows_of_models.ids(connection)

    def look(self, modelids: Iterable[int]) -> dict[int, Expected]:
        """What is true of models, by id."""
        with self.workspace.store.read() as connection:
            found = models.by_id(connection, [*modelids])
            used = select(TRAIN_SAMPLES.c.modelid, TRAIN_SAMPLES.c.analysableid).distinct()
            courses = Counter(row.modelid for row in connection.execute(used))
            predictions = Counter(
                modelid
                for table in (PREDICTIONS, RISKS)
                for modelid in connection.execute(select(table.c.modelid)).scalars()
            )
            interrupted = facts.starting_with(connection, TRAINING)
        return {
            model.id: Expected(
                model.interval or "", model.enabled, model.given_name, model.trained, model.version, courses[model.id],
                self.answers(model), predictions[model.id], models.training_fact(model.id) in interrupted,
            )
            for model in found.values()
        }  # fmt: skip

    def answers(self, model: models.AnalyticsModel) -> tuple[float, ...] | None:
        """What is trained says of the probes; read again only when it is another, or somebody was killed."""
        folder, published = self.workspace.executiondir(model), backend.published(self.workspace, model)
        if published is None:
            return None
        key = str(folder), published
        if key not in self._answers:
            self._answers[key] = self._asked(folder)
        return self._answers[key]

    @staticmethod
    def _asked(folder: Path) -> tuple[float, ...]:
        found = model_in_force(ModelStore(folder))
        assert found is not None
        probes = PROBES[:, : len(found[0].columns or ())]
        probes = np.hstack([probes, np.zeros((len(PROBES), len(found[0].columns or ()) - probes.shape[1]))])
        return tuple(found[0].classifier.probabilities(probes.astype(np.float32))[:, 1].tolist())


def kill_at(moment: int) -> None:
    """End this process at its n-th change of a file or statement to a database."""
    left = moment

    def count(*_: Any) -> None:
        nonlocal left
        left -= 1
        if not left:
            os.kill(os.getpid(), signal.SIGKILL)

    def listen(name: str, arguments: tuple[Any, ...]) -> None:
        writes = name == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or name in ("os.mkdir", "os.rename", "os.remove", "os.rmdir"):
            count()

    sys.addaudithook(listen)
    for moment_of_sql in ("before_cursor_execute", "commit"):
        event.listen(Engine, moment_of_sql, count)


class Lives(RuleBasedStateMachine):
    """A world with a few models; ``known`` is what must be true of each, ``ages`` what has happened to it."""

    template: Path
    folder: Path
    site: str

    def __init__(self) -> None:
        super().__init__()
        shutil.copytree(self.template, self.folder / "work")
        self.world = World(self.folder / "work", self.site)
        self.known: dict[int, Expected] = {}
        self.ages: Counter[int] = Counter()
        self.others = self.world.ids()
        self.packages: list[tuple[Path, Expected]] = []

    def teardown(self) -> None:
        counted["worlds"] += 1
        counted["lives"] += sum(age > 1 for age in self.ages.values())
        counted["steps"] += self.ages.total()
        self.world.close()
        shutil.rmtree(self.folder)

    def chosen(self, data: st.DataObject) -> int:
        return data.draw(st.sampled_from(sorted(self.known)), label="model")

    def look(self, modelid: int) -> Expected:
        return self.world.look([modelid])[modelid]

    def check(self, modelid: int, expected: Expected) -> None:
        """What was to come of a step has come, and nothing of it touched other models."""
        self.ages[modelid] += 1
        self.known[modelid] = expected
        assert self.world.look(self.world.ids() - self.others) == self.known

    def train(self, modelid: int) -> Expected:
        known, world = self.known[modelid], self.world
        if not known.enabled:
            with pytest.raises(UsageError):
                lifecycle.train(world.workspace, world.site, modelid)
            return known
        result = lifecycle.train(world.workspace, world.site, modelid)
        if not known.interrupted and known.courses == world.finished and (known.trained or not world.finished):
            assert (result.status, result.info) == (Status.NO_DATASET, ["There is no new data to train on."])
            return known
        nothing = "There is no new data to train on." in result.info
        assert result.status == (Status.NO_DATASET if nothing else Status.OK), result.info
        if nothing:  # the one that was killed had come far enough
            assert known.interrupted
            assert known.trained or result.info[0].startswith("An interrupted training run turned out to be complete")
        found = self.look(modelid)
        assert found.answers is not None
        return replace(known, trained=True, courses=world.finished, answers=found.answers, interrupted=False)

    def predict(self, modelid: int) -> Expected:
        known, world = self.known[modelid], self.world
        error = UsageError if not known.enabled else None if known.trained else NotTrainedError
        if error:
            with pytest.raises(error):
                lifecycle.predict(world.workspace, world.site, modelid)
            return known
        result = lifecycle.predict(world.workspace, world.site, modelid)
        assert result.status in (Status.OK, Status.NO_DATASET), result.info
        found = self.look(modelid)
        assert found.predictions >= known.predictions
        assert lifecycle.predict(world.workspace, world.site, modelid).status == Status.NO_DATASET
        return replace(known, predictions=found.predictions)

    def edit(self, modelid: int, change: dict[str, Any]) -> Expected:
        known = self.known[modelid]
        edited = models.edit(self.world.workspace, modelid, **change)
        new = change.get("interval", known.interval) != known.interval
        assert (edited.version > known.version) == new
        return replace(known, **change, version=edited.version, **(NEW if new else {}))

    def clear(self, modelid: int) -> Expected:
        models.clear(self.world.workspace, modelid)
        return replace(self.known[modelid], **NEW)

    def export(self, modelid: int) -> Expected:
        known, world = self.known[modelid], self.world
        path = world.folder.parent / f"{len(self.packages)}.zip"
        if not known.trained:
            with pytest.raises(NotTrainedError):
                packages.export_model(world.workspace, modelid, path)
            return known
        packages.export_model(world.workspace, modelid, path)
        self.packages.append((path, known))
        return known

    @initialize(interval=st.sampled_from(INTERVALS))
    def first(self, interval: str) -> None:
        self.create(interval, True)

    @precondition(lambda self: len(self.known) < MODELS)
    @rule(interval=st.sampled_from(INTERVALS), enabled=st.booleans())
    def create(self, interval: str, enabled: bool) -> None:
        workspace = self.world.workspace
        made = models.create(workspace, DROPOUT, INDICATORS, interval=interval, processor=PROCESSOR)
        if enabled:
            models.enable(workspace, made.id)
        self.check(made.id, Expected(interval, enabled, version=made.version))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def learn(self, data: st.DataObject) -> None:
        modelid = self.chosen(data)
        self.check(modelid, self.train(modelid))
        if data.draw(st.booleans(), label="and predict"):
            self.check(modelid, self.predict(modelid))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), step=st.sampled_from(("predict", "clear", "export")))
    def use(self, data: st.DataObject, step: str) -> None:
        modelid = self.chosen(data)
        self.check(modelid, getattr(self, step)(modelid))

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        change=st.sampled_from(
            ({"enabled": False}, {"enabled": True}, {"name": "Mine"}, *({"interval": one} for one in INTERVALS))
        ),
    )
    def change(self, data: st.DataObject, change: dict[str, Any]) -> None:
        modelid = self.chosen(data)
        self.check(modelid, self.edit(modelid, change))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        self.gone(self.chosen(data))

    def gone(self, modelid: int) -> None:
        models.remove(self.world.workspace, modelid)
        self.ages[modelid] += 1
        del self.known[modelid]
        self.nothing_is_left_of(modelid)

    def nothing_is_left_of(self, modelid: int) -> None:
        assert self.world.ids() - self.others == self.known.keys()
        for folder in ("models", "datasets"):
            assert not (self.world.folder / folder / str(modelid)).exists()

    @rule(weeks=st.sampled_from((1, 2, 4)))
    def pass_time(self, weeks: int) -> None:
        self.world.at(self.world.now + weeks * WEEK)

    @precondition(lambda self: self.packages)
    @rule(data=st.data())
    def take_in(self, data: st.DataObject) -> None:
        """A package gives a model with the same answers that has learned nothing here; a damaged one gives none."""
        path, exported = data.draw(st.sampled_from(self.packages), label="package")
        if data.draw(st.integers(0, 3), label="damage"):
            self.imported(packages.import_model(self.world.workspace, path).model, exported)
            return
        content = bytearray(path.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1), label="place")] ^= 0xFF
        damaged = path.with_name("damaged.zip")
        damaged.write_bytes(content)
        try:
            made = packages.import_model(self.world.workspace, damaged).model
        except BackendError:
            assert self.world.ids() - self.others == self.known.keys()
        else:
            self.imported(made, exported)

    def imported(self, made: models.AnalyticsModel, exported: Expected) -> None:
        new = Expected(exported.interval, trained=True, version=made.version, answers=exported.answers)
        self.check(made.id, new)

    @precondition(lambda self: self.known)
    @rule(
        data=st.data(),
        step=st.sampled_from(("train", "predict", "edit", "clear", "export", "take_in", "remove")),
        moment=st.integers(1, 30),
    )
    def kill(self, data: st.DataObject, step: str, moment: int) -> None:
        """Kill a step at its n-th write: what was true is true, or what the step makes; done again, it is complete."""
        modelid = self.chosen(data)
        path = self.packages[-1][0] if self.packages else Path("none")
        other = next(one for one in INTERVALS if one != self.known[modelid].interval)
        workspace = lambda: self.world.workspace  # noqa: E731
        steps: dict[str, Callable[[], Any]] = {
            "train": lambda: lifecycle.train(workspace(), self.world.site, modelid),
            "predict": lambda: lifecycle.predict(workspace(), self.world.site, modelid),
            "edit": lambda: models.edit(workspace(), modelid, interval=other),
            "clear": lambda: models.clear(workspace(), modelid),
            "export": lambda: packages.export_model(workspace(), modelid, self.world.folder.parent / "killed.zip"),
            "take_in": lambda: packages.import_model(workspace(), path),
            "remove": lambda: models.remove(workspace(), modelid),
        }
        killed = self.in_a_child(steps[step], moment * (5 if step == "train" else 1))
        counted[f"killed {step}" if killed else f"let {step}"] += 1
        known, ids = self.known[modelid], self.world.ids() - self.others
        if step == "take_in":
            for made in ids - self.known.keys():
                found = self.look(made)
                assert found.trained
                assert found.answers == self.packages[-1][1].answers
                self.known[made] = found
            self.check(modelid, known)
            return
        if step == "remove":
            if modelid in ids:
                self.check(modelid, known)
                self.gone(modelid)
            else:
                del self.known[modelid]
                self.nothing_is_left_of(modelid)
            return
        found = self.look(modelid)
        if step == "train":
            assert known.courses <= found.courses <= self.world.finished
            assert found.answers == known.answers or found.interrupted or found.trained
            known = replace(found, interrupted=found != known)
            self.known[modelid] = known
            found_again = self.train(modelid)
            if known.enabled and found.answers != known.answers:
                assert found_again.answers == found.answers
            self.check(modelid, found_again)
        elif step == "predict":
            assert found.predictions >= known.predictions
            self.check(modelid, replace(known, predictions=found.predictions))
            self.check(modelid, self.predict(modelid))
        elif step in ("edit", "clear"):
            done = replace(known, **NEW, **({"interval": other} if step == "edit" else {}), version=found.version)
            assert found in (known, done)
            assert found.version > known.version or found.interval == known.interval
            self.known[modelid] = found
            self.check(modelid, self.edit(modelid, {"interval": other}) if step == "edit" else self.clear(modelid))
        else:
            self.check(modelid, known)

    def in_a_child(self, step: Callable[[], Any], moment: int) -> bool:
        """Do a step in a child that is killed at a moment; False when the step was over by then."""
        self.world.close()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forks where there are threads
            child = os.fork()
        if not child:
            try:
                self.world.open()
                kill_at(moment)
                step()
            except BackendError:
                pass
            except BaseException:
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, -signal.SIGKILL)
        self.world.open()
        return code != 0


@pytest.fixture
def machine(tmp_path) -> type[Lives]:
    world = World(tmp_path / "template", make_site(tmp_path))
    world.close()

    class Here(Lives):
        template, folder, site = tmp_path / "template", tmp_path / "lives", world.url

    return Here


def test_whatever_happens_to_a_model_what_must_hold_holds(machine):
    counted.clear()
    chosen = settings(
        max_examples=AT_ONCE if LIVES else WORLDS, stateful_step_count=STEPS, database=None, deadline=None,
        derandomize=not LIVES,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate, *([] if LIVES else [Phase.shrink])],
    )  # fmt: skip
    while not counted["lives"] or counted["lives"] < LIVES:
        run_state_machine_as_test(machine, settings=chosen, _min_steps=STEPS // 2)
        print(dict(sorted(counted.items())), flush=True)  # noqa: T201
    assert sum(count for name, count in counted.items() if name.startswith("killed"))
