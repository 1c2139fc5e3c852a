"""The report of a run as one page of HTML that needs nothing beside it: ``report.html``."""

from __future__ import annotations

import base64
import math
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend import metrics
from moodlemlbackend.errors import Status
from moodlemlbackend.report import curves
from moodlemlbackend.report.both_splits import both_splits, expectation
from moodlemlbackend.report.captions import CAPTIONS, TITLES, class_in_words
from moodlemlbackend.report.diagnostics import diagnostics
from moodlemlbackend.report.facts import MOST_NAMES
from moodlemlbackend.report.record import EVALUATION, RATING, TRAINING, Record

if TYPE_CHECKING:
    from jinja2 import Template

PAGE_NAME = "report.html"
TEMPLATES = Path(__file__).parent / "templates"
MOST_INDICATORS = 30
LEAST_IMPORTANCE = 0.0005
"""Falls of the AUC that are listed."""

STUDENTS_AT_RISK = frozenset(
    {
        "course_dropout", "course_completion", "course_competencies", "course_gradetopass",
        "no_access_since_course_start", "no_recent_accesses",
    }
)  # fmt: skip
"""Moodle's targets whose samples are students and whose class 1 is a risk."""

METRICS = {
    "score": "Score",
    "mcc": "Matthews correlation",
    "auc": "AUC of class 1",
    "accuracy": "Accuracy",
    "balanced accuracy": "Balanced accuracy",
    "precision": "Precision, weighted",
    "recall": "Recall, weighted",
    "f1_score": "F1, weighted",
    "average precision": "Average precision of class 1",
    "Brier score": "Brier score (lower is better)",
    "calibration error": "Calibration error (lower is better)",
}

_SPLITS = {
    "course": "Trained on whole courses with about 80% of the samples and measured on the other courses",
    "row": "Trained on 80% of the samples and measured on the other 20%",
    "time": "Trained on earlier courses and measured on the ones that began next",
}


def write_page(record: Record, figures: list[str], folder: Path) -> Path:
    """Write the page, with the SVG files of these figures in it; returns its path."""
    path = folder / PAGE_NAME
    scratch = folder / f".{PAGE_NAME}"
    scratch.write_text(render(record, figures, folder), "utf-8")
    scratch.replace(path)
    return path


def render(record: Record, figures: list[str], folder: Path) -> str:
    """Make the page's text."""
    findings = diagnostics(record)
    bad = int(record.result.get("status") or 0) != 0
    title, subtitle = _titles(record)
    shown = [
        {"name": name, "title": TITLES[name], "caption": CAPTIONS[name], "source": _data_uri(folder, name)}
        for name in CAPTIONS
        if name in figures
    ]
    measured: dict[str, Any] = {"held": bool(record.held)}
    if record.held:
        measured |= {"measured": _measured(record), "metrics": _metrics(record), "classes": _classes(record)}
        measured |= {"thresholds": _thresholds(record), "thresholds_note": _thresholds_note(record)}
    return template().render(
        title=title, subtitle=subtitle, bad=bad,
        verdict=_verdict(record, sum(diagnostic.grave for diagnostic in findings)),
        diagnostics=findings, facts=_facts(record), figures=shown, importances=_importances(record),
        command=record.about.get("command"), settings=_settings(record), expectation=expectation(record.result),
        both=both_splits(record.result, class_in_words(record, record.classes[1])), **measured,
    )  # fmt: skip


@cache
def template() -> Template:
    """The page's template, with its style sheet."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    from markupsafe import Markup

    environment.filters["figure"] = _figure
    environment.globals["style"] = Markup((TEMPLATES / "report.css").read_text("utf-8").strip())  # noqa: S704
    return environment.get_template("report.html")


def _data_uri(folder: Path, name: str) -> str:
    content = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode("ascii")
    return f"data:image/svg+xml;base64,{content}"


# ---- in words ----


def _titles(record: Record) -> tuple[str, str]:
    of = {EVALUATION: "Evaluation", RATING: "Evaluation of the trained model", TRAINING: "Training"}[record.kind]
    about = record.about
    dataset, run = about.get("data set", "unknown"), f"run {about.get('run', '')} of {about.get('time', '')}"
    subtitle = f"Data set {dataset}, {run}" if dataset else f"R{run[1:]}"
    if interval := about.get("interval in words"):
        subtitle = f"Interval: {interval}. {subtitle}"
    return f"{of}: {about.get('model', 'model')}", subtitle


def _verdict(record: Record, warnings: int) -> str:
    result, status = record.result, int(record.result.get("status") or 0)
    more = f" {_plural(warnings, 'warning')} below." if warnings else ""
    if record.kind == TRAINING:
        return _outcome_of_training(record) + more
    score, deviation = _float(result.get("score")), _float(result.get("score_deviation"))
    asked = f"{_float(result.get('min_score')):g} is the minimum"
    over = f" ± {deviation:.3f} over {len(record.held)} splits" if len(record.held) > 1 else ""
    subject = "This model" if record.kind == RATING else "A model trained on this data"
    if status & Status.LOW_SCORE:
        judged = f"{subject} does not predict well enough: the score is {score:.3f}{over}, and {asked}."
    elif status & Status.NOT_ENOUGH_DATA:
        judged = (
            f"{subject} is not reliable yet: the score is {score:.3f}{over}, which differs too much between splits."
        )
    else:
        judged = f"{subject} predicts well enough: the score is {score:.3f}{over}, and {asked}."
    return judged + more


def _outcome_of_training(record: Record) -> str:
    text = f"The model is trained on {_thousands(record.facts.get('rows', 0))} samples"
    if not record.held:
        return f"{text}."
    held = record.held[0]
    if len(record.classes) == 2:
        name = class_in_words(record, record.classes[1])
        text += f" and predicts {name} from a probability of {held.threshold:.2f} upwards"
    mcc = curves.figures_of(held)["mcc"]
    return f"{text}. In tests on samples its parts had not seen, it reached a Matthews correlation of {mcc:.3f}."


def _facts(record: Record) -> list[tuple[str, str]]:
    facts, about = record.facts, record.about
    total = max(1, int(facts.get("rows", 0)))
    counts = facts.get("classes") or {}
    rows = [
        ("Samples", f"{_thousands(total)}, {_thousands(facts.get('distinct_rows', 0))} of them distinct"),
        ("Classes", "; ".join(f"{name}: {_thousands(n)} ({n / total:.1%})" for name, n in counts.items())),
        ("Indicators", f"{_thousands(facts.get('indicators', 0))} in {_thousands(facts.get('columns', 0))} columns"),
        ("Unused columns", f"{facts.get('constant', 0)} constant, {facts.get('repeated', 0)} equal to another"),
        ("Empty cells", f"{_float(facts.get('empty')):.1%}"),
        ("Target", str(about.get("target in words") or about.get("target") or "not named")),
        ("Interval", str(about.get("interval in words") or about.get("time splitting") or "not named")),
    ]
    parts = facts.get("parts") or {}
    if parts:
        rows.append(
            (
                "Samples by part",
                "; ".join(f"{int(p) + 1 if p.isdecimal() else p}: {_thousands(n)}" for p, n in parts.items()),
            )
        )
    for name, key in (("Constant indicators", "constant_names"), ("Mostly empty indicators", "empty_names")):
        names = facts.get(key) or []
        if names:
            more = ", …" if len(names) == MOST_NAMES else ""
            rows.append((name, ", ".join(map(str, names)) + more))
    if record.kind == EVALUATION:
        if facts.get("courses"):
            rows.append(("Courses", _thousands(facts["courses"])))
        times = f"{_thousands(len(record.held[0].labels))}, {len(record.held)} times"
        rows.append(("Samples for training, and held out", f"{_thousands(facts.get('training_rows', 0))} and {times}"))
    return rows


def _measured(record: Record) -> str:
    if record.kind == TRAINING:
        return "Each sample was tested with the part of the model that had not seen it. An evaluation is stricter."
    if record.kind == RATING:
        return "Measured once, on all samples of the data set."
    split = _SPLITS.get(str(record.result.get("split")), _SPLITS["row"])
    return f"{split}, {len(record.held)} times; mean, standard deviation, smallest and largest over these splits."


def _metrics(record: Record) -> dict[str, Any]:
    figures = [curves.figures_of(held) for held in record.held]
    chosen = str(record.about.get("score", "mcc"))
    for row in figures:
        row["score"] = (row["mcc"] + 1) / 2 if chosen == "mcc" else row["f1_score"]
    several = len(figures) > 1
    rows = []
    for key, name in METRICS.items():
        values = np.array([row[key] for row in figures])
        mean, deviation = curves.mean_and_deviation(values)
        numbers = values[~np.isnan(values)]
        cells = [_figure(mean)]
        if several:
            error = metrics.standard_error(numbers) if len(numbers) > 1 else math.nan
            low, high = (numbers.min(), numbers.max()) if len(numbers) else (math.nan, math.nan)
            cells += [_figure(deviation), _figure(low), _figure(high), f"± {_figure(2 * error)}"]
        rows.append((name.replace("class 1", class_in_words(record, record.classes[1])), cells))
    columns = ["Mean", "Deviation", "Smallest", "Largest", "Uncertainty of the mean"] if several else ["Value"]
    what = "the Matthews correlation scaled to 0 … 1" if chosen == "mcc" else "the weighted F1"
    note = f"The score is {what}."
    if several:
        note += (
            " The uncertainty is twice the standard error of the mean, corrected for splits that share their samples "
            "(Nadeau and Bengio 2003)."
        )
    return {"columns": columns, "rows": rows, "note": note}


def _classes(record: Record) -> dict[str, Any]:
    table = curves.confusion(record)
    rows = []
    for k, name in enumerate(record.classes):
        hits, true, predicted = table[k, k], table[k].sum(), table[:, k].sum()
        recall, precision = (hits / whole if whole else math.nan for whole in (true, predicted))
        area = curves.mean_and_deviation(curves.areas(record, k)[0])[0]
        rows.append((name, [_one_decimal(true), _figure(recall), _figure(precision), _figure(area)]))
    return {"columns": ["Held-out samples", "Found (recall)", "Right when predicted (precision)", "AUC"], "rows": rows}


def _thresholds(record: Record) -> list[dict[str, Any]]:
    two = len(record.classes) == 2
    return [_threshold_table(record, k) for k in ([1] if two else range(1, len(record.classes)))]


def _threshold_table(record: Record, k: int) -> dict[str, Any]:
    name, named = record.classes[k], class_in_words(record, record.classes[k])
    students = _target(record) in STUDENTS_AT_RISK and k == 1
    warned = curves.warned(record, k)
    several = len(record.held) > 1

    def cell(value: tuple[float, float]) -> str:
        if math.isnan(value[0]):
            return "–"
        return f"{100 * value[0]:.0f}" + (f" ± {100 * value[1]:.0f}" if several else "")

    rows = [
        (row.chosen, [f"{row.threshold:.2f}", cell(row.warned), cell(row.right), cell(row.recalled)]) for row in warned
    ]
    if students:
        columns = [
            "Flagged from a probability of",
            "Of 100 students, flagged",
            "Of 100 flagged, really at risk",
            "Of 100 at risk, flagged",
        ]
    else:
        columns = [
            "Predicted from a probability of",
            "Of 100 samples, predicted",
            f"Of 100 predicted, really {named}",
            f"Of 100 of {named}, predicted",
        ]
    return {
        "title": f"Class {name}",
        "sentence": _threshold_sentence(warned, named, students),
        "columns": columns,
        "rows": rows,
    }


def _threshold_sentence(rows: list[curves.Warned], name: str, students: bool) -> str:
    row = next((row for row in rows if row.chosen), None) or min(rows, key=lambda row: abs(row.threshold - 0.5))
    where = "At the model's threshold" if row.chosen else f"At a probability of {row.threshold:g}"
    right, of = row.right[0], row.recalled[0]
    if math.isnan(right) or math.isnan(of):
        return f"{where}, nobody would be flagged." if students else f"{where}, the class would never be predicted."
    right, of = 100 * right, 100 * of
    if students:
        return (
            f"{where}, {right:.0f} of 100 flagged students are really at risk, and {of:.0f} of 100 students at "
            "risk are flagged."
        )
    return (
        f"{where}, {right:.0f} of 100 samples predicted as {name} really are {name}, and {of:.0f} of 100 samples "
        f"that are {name} are predicted as such."
    )


def _thresholds_note(record: Record) -> str:
    note = "A lower threshold finds more but is wrong more often; choose the one you can afford."
    if len(record.classes) == 2:
        note += " The marked row is the model's own threshold, where the Matthews correlation is highest."
    return note + (" ± is one standard deviation over the splits." if len(record.held) > 1 else "")


def _importances(record: Record) -> list[tuple[str, str, str]]:
    means = [(item.label, curves.mean_and_deviation(item.falls)) for item in record.importances[:MOST_INDICATORS]]
    return [
        (label, _figure(mean), _figure(deviation)) for label, (mean, deviation) in means if mean >= LEAST_IMPORTANCE
    ]


def _settings(record: Record) -> list[tuple[str, str]]:
    hidden = {"command", "model", "data set", "time", "run", "target", "time splitting"}
    hidden |= {"target in words", "interval in words"}
    rows = [(name.capitalize(), str(value)) for name, value in record.about.items() if name not in hidden]
    return [*rows, ("Data set's digest", str(record.facts.get("digest", "")))]


def _target(record: Record) -> str:
    return str(record.about.get("target") or "").rpartition("\\")[2]


def _plural(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def _float(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan


def _figure(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}".replace("-", "−")


def _one_decimal(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.1f}"


def _thousands(number: float) -> str:
    return f"{number:,.0f}".replace(",", "\u202f")
