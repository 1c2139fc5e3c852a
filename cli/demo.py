"""``moodlemlbackend demo``: all that Moodle asks of the backend, on simulated courses."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from moodlemlbackend.errors import BackendError
from moodlemlbackend.interpreter import python_code

from .command import Answer, ExampleCommand
from .command import command as make
from .confirmation import confirm
from .options import YES
from .output import print_line, working

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = """\
moodlemlbackend demo demo
moodlemlbackend demo large --courses 200 --students 60 --seed 1
moodlemlbackend demo site -o site.db
"""

MODELID = "demo"
FOLDERS = ("data", "evaluation", "execution", "exported", "imported")
"""What a demo makes in its directory."""

MINIMUM_SCORE, ACCEPTED_DEVIATION, ITERATIONS = "0.7", "0.05", "10"  # as Moodle gives them

_CALL = (
    "import _thread; from runpy import run_module; from moodlemlbackend.runtime.supervisor import end_with_parent; "
    "_thread.start_new_thread(end_with_parent, (0,)); "
    "run_module(sys.argv.pop(1), run_name='__main__', alter_sys=True)"
)

_RESULT_CODES = (0, 4, 8, 12)  # of an evaluation that has a result


class _DemoCommand(ExampleCommand):
    """Either ``demo DEMODIR`` or, with the word ``site`` in front, ``demo site``."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Return the context of the command that is meant."""
        if args[:1] == ["site"]:
            from .demo_site import command as site

            return site.make_context(f"{info_name} site", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@make(
    "demo",
    click.argument("folder", metavar="DEMODIR", type=click.Path(file_okay=False, path_type=Path)),
    click.option("--courses", type=click.IntRange(1), default=30, show_default=True, help="Finished courses per term."),
    click.option("--students", type=click.IntRange(1), default=40, show_default=True, help="Students per course."),
    click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed for the simulation."),
    YES,
    examples=EXAMPLES,
    cls=_DemoCommand,
)
def command(folder: Path, courses: int, students: int, seed: int, yes: bool) -> Answer:
    """Simulate courses in DEMODIR, then evaluate, train, predict, export and import as Moodle does.

    One term of finished courses is used to evaluate, another to train. The model then predicts for students in ongoing
    courses, and the predictions are compared with how these students really did.

    `demo site` makes a Moodle site in a database instead; for a directory called site, write ./site.
    """
    there = [str(folder / name) for name in FOLDERS if (folder / name).exists()]
    confirm(f"This overwrites what is in {', '.join(there)}." if there else "", yes=yes)
    return _Demo(folder, silent=click.get_current_context().params["as_json"]).run(courses, students, seed)


class _Demo:
    """One demo in one directory."""

    def __init__(self, folder: Path, *, silent: bool) -> None:
        self._folder = folder
        self._silent = silent
        self._life, _ = os.pipe()  # the input of each call, which ends with this process

    def run(self, courses: int, students: int, seed: int) -> Answer:
        """Perform all steps and say what came of them."""
        from moodlemlbackend.simulation.courses import write_demo
        from moodlemlbackend.storage.model_store import ModelStore

        begun = time.perf_counter()
        data, evaluation, execution, exported, imported = (self._folder / name for name in FOLDERS)
        with working("Simulate courses"):
            files = write_demo(data, courses=courses, students=students, seed=seed)
            answers = _read_answers(files.answers)
            ModelStore(execution).clear()
        self._say("Simulate", f"{courses} + {courses} finished courses, ongoing courses with {len(answers)} students")

        judged = self._call(
            "Evaluate", "evaluation", evaluation, files.evaluation, MINIMUM_SCORE, ACCEPTED_DEVIATION, ITERATIONS
        )
        self._call("Train", "training", execution, files.training)
        predictions = self._call("Predict", "prediction", execution, files.prediction)["predictions"]
        self._call("Export", "export", execution, exported)
        self._call("Import", "import", imported, exported)
        if self._call("Predict again", "prediction", imported, files.prediction)["predictions"] != predictions:
            raise BackendError(
                f"The imported model in {imported} does not make the same predictions as the one in {execution}."
            )

        mcc, auc = _rate(predictions, answers)
        warned = sum(label == "1" for _, label, _ in predictions)
        text = (
            f"\nAll done in {time.perf_counter() - begun:.0f} seconds; the imported model makes the same "
            "predictions.\n\n"
            f"Evaluation   score {judged['score']:.3f} on a scale of 0 to 1; Moodle asks for {MINIMUM_SCORE}: "
            f"Matthews correlation {judged['mcc']:.2f}, AUC {judged['auc']:.2f}\n"
            f"Prediction   {warned} of {len(predictions)} students in ongoing courses are at risk; compared with "
            f"how they really did: Matthews correlation {mcc:.2f}, AUC {auc:.2f}\n"
            f"Pictures     {Path(judged['dir'], 'roc-curve.png')}\n"
            f"TensorBoard  {sys.executable} -m tensorboard.main --logdir {self._folder}\n"
            f"Model        {execution / 'classifier'}"
        )
        facts = {
            "score": judged["score"],
            "students": len(predictions),
            "warned": warned,
            "mcc": mcc,
            "auc": auc,
            "model": str(execution / "classifier"),
        }
        return Answer(facts, text)

    def _call(self, title: str, module: str, *arguments: Path | str) -> Any:
        """Run one of Moodle's modules and return what it printed, a JSON object or a text."""
        begun = time.perf_counter()
        command = python_code(_CALL, f"moodlemlbackend.{module}", MODELID, *arguments)
        with working(title):
            called = subprocess.run(command, stdin=self._life, capture_output=True, check=False)
        line = called.stdout.decode(errors="replace").strip().rpartition("\n")[2]
        result = json.loads(line) if line.startswith("{") else line
        if called.returncode not in (_RESULT_CODES if module == "evaluation" else (0,)) or not line:
            reason = result["info"][0] if isinstance(result, dict) else line or called.stderr.decode(errors="replace")
            raise BackendError(f"moodlemlbackend.{module} failed: {reason}")
        if isinstance(result, dict):
            for sentence in result["info"]:
                self._say("", sentence)
        self._say(title, f"{time.perf_counter() - begun:.1f} s")
        return result

    def _say(self, title: str, text: str) -> None:
        if not self._silent:
            print_line(f"{title:14} {text}")


def _read_answers(path: Path) -> dict[str, int]:
    """Return the class by sample id."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["sampleid"]: int(row["class"]) for row in csv.DictReader(file)}


def _rate(predictions: Sequence[tuple[str, str, str]], answers: dict[str, int]) -> tuple[float, float]:
    """Return Matthews correlation and AUC of the predictions."""
    from moodlemlbackend import metrics

    labels = [answers[sample_id] for sample_id, _, _ in predictions]
    predicted = [int(label) for _, label, _ in predictions]
    scores = [float(score) if label == "1" else 1 - float(score) for _, label, score in predictions]
    return metrics.matthews_correlation(predicted, labels), metrics.roc_auc(scores, labels)
