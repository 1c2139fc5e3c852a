"""What people at a terminal read of train, predict, evaluate, export and import; programs get what Moodle gets."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .output import print_facts, print_line, print_sentence
from .tables import Table, print_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SHOWN_PREDICTIONS = 100


def show_training(modelid: str, outputdir: str) -> Callable[[Mapping[str, Any]], None]:
    """Say that the model is trained, and where its report is."""

    def show(result: Mapping[str, Any]) -> None:
        print_line(f"The model {modelid} in {outputdir} is trained.")
        _show_rest(result, Path(outputdir, "logs", str(result["runid"])))

    return show


def show_evaluation(result: Mapping[str, Any]) -> None:
    """The figures of an evaluation, and what they mean; of several data sets a table."""
    if "evaluations" not in result:
        _show_figures(result)
        return
    rows = [
        (judged["dataset"], *(_figure(judged.get(key)) for key in ("score", "mcc", "auc")), " ".join(judged["info"]))
        for judged in result["evaluations"]
    ]
    numbers = ("Score", "MCC", "AUC")
    print_table(Table(("Data set", *numbers, "Notes"), rows, right=numbers, least=("Notes", "AUC", "MCC")))
    print_line(f"The best is {result['best']}.")


def first_predictions(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result with the first predictions alone, and the number of all."""
    predictions = result["predictions"]
    first = list(islice(predictions, SHOWN_PREDICTIONS))
    return {**result, "predictions": first, "number": len(first) + sum(1 for _ in predictions)}


def show_predictions(result: Mapping[str, Any]) -> None:
    """The first predictions."""
    rows, number = result["predictions"], result["number"]
    columns = ("Sample", "Class", "Probability")
    print_table(Table(columns, rows, right=columns[1:], empty="The data set has no samples."))
    if number > len(rows):
        print_line(f"These are the first {len(rows)} of {number:,} predictions; --json prints all of them.")
    for sentence in result["info"]:
        print_sentence(sentence)


def show_export(exportdir: str) -> None:
    """Say where the export is."""
    print_line(f"The model has been exported to {exportdir}.")


def show_import(modelid: str, outputdir: str) -> Callable[[object], None]:
    """Say that the model is in force."""
    return lambda _result: print_line(f"The model {modelid} in {outputdir} is imported and ready to predict.")


def _show_figures(result: Mapping[str, Any]) -> None:
    names = {"Score": "score", "Matthews correlation": "mcc", "AUC": "auc", "F1 score": "f1_score"}
    print_facts([(name, _figure(result[key])) for name, key in names.items() if key in result])
    _show_rest(result, Path(result["dir"]))


def _show_rest(result: Mapping[str, Any], folder: Path) -> None:
    from moodlemlbackend.report.page import PAGE_NAME

    for sentence in result["info"]:
        print_sentence(sentence)
    if (folder / PAGE_NAME).is_file():
        print_line(f"The report is in {folder / PAGE_NAME}.")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
