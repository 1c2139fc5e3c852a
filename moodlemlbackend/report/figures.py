"""Figures of a run, drawn from its record with matplotlib's object interface: no window system, no global state."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.files import replacing
from moodlemlbackend.report import curves, style
from moodlemlbackend.report.captions import class_in_words
from moodlemlbackend.report.record import TRAINING, Record

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_INDICATORS = 15
MOST_CLASSES = 7
"""Classes that have a curve of their own; of more, only the first ones."""

BINS = 20
FORMATS = ("png", "svg")

_SHARES = (0, 0.25, 0.5, 0.75, 1)

_LOOKS = (style.COLOURS, style.DASHES, style.MARKERS)


def draw_all(record: Record, folder: Path, names: Iterable[str] | None = None) -> list[str]:
    """Write the figures that the record has the data for, of those named, as PNG and SVG; returns their names."""
    drawn = []
    with style.applied():
        for name in FIGURES if names is None else names:
            draw = FIGURES[name]
            figure = draw(record) if record.held or draw is course_of_training else None
            if figure is not None:
                save(figure, folder / name)
                drawn.append(name)
    return drawn


def save(figure: Figure, path: Path) -> None:
    """Write a figure beside ``path`` with the endings of :data:`FORMATS`, whole or not at all."""
    for ending in FORMATS:
        content = io.BytesIO()
        options: dict[str, Any] = {"pil_kwargs": {"compress_level": 1}} if ending == "png" else {}
        metadata = {"Software": None} if ending == "png" else {"Date": None, "Creator": None}
        figure.savefig(content, format=ending, dpi=style.DOTS_PER_INCH, metadata=metadata, **options)
        with replacing(path.with_suffix(f".{ending}")) as file:
            file.write(content.getvalue())


def blank(title: str) -> Figure:
    """Draw axes without data."""
    return _axes(title, 0.8)[0]


# ---- the figures ----


def roc_curve(record: Record) -> Figure | None:
    """ROC curve: of two classes every split, their mean and its band; of more the mean of each class."""
    if record.kind == TRAINING:
        return None
    figure, axes = _square("ROC curve")
    axes.set(xlabel="False alarms: share of the other samples", ylabel="Found: share of the class")
    for k in _shown(record):
        heights = curves.roc_heights(record, k)
        if len(heights):
            area = curves.mean_and_deviation(curves.areas(record, k)[0])
            _mean_curve(axes, record, k, heights, f"area {_with_deviation(area, record)}")
    axes.plot([0, 1], [0, 1], color=style.GREY, linestyle=":", linewidth=1, label="Chance")
    if len(record.classes) == 2:
        table = curves.confusion(record)
        rates = table[:, 1] / np.maximum(table.sum(axis=1), 1e-9)
        axes.plot(*rates, marker="o", color=style.BLACK, linestyle="", label="Decision threshold", zorder=4)
    axes.legend(loc="lower right")
    return figure


def precision_recall(record: Record) -> Figure | None:
    """Precision over recall, with the share of the class as base rate."""
    if record.kind == TRAINING:
        return None
    figure, axes = _square("Precision and recall")
    axes.set(xlabel="Found: share of the class (recall)", ylabel="Right: share of those predicted (precision)")
    for k in _shown(record):
        heights = curves.precision_heights(record, k)
        if len(heights):
            mean = curves.mean_and_deviation(curves.areas(record, k)[1])
            _mean_curve(axes, record, k, heights, f"average {_with_deviation(mean, record)}")
    for k in _shown(record):
        base = curves.share_of_class(record, k)
        label = f"Base rate {base:.3f}" if len(record.classes) == 2 else None if k else "Base rates"
        axes.axhline(base, color=style.GREY, linestyle=":", linewidth=1, label=label)
    axes.legend(loc="lower left")
    return figure


def calibration(record: Record) -> Figure | None:
    """Observed share over predicted probability, and how many samples have each probability."""
    figure = _figure(1.15)
    axes = _place(figure, "Calibration", 0.55, 1.42, 0.14, 0.25)
    below = _place(figure, "", 0.55, 0.38, 0.14, style.WIDTH * 1.15 - 1.25)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xticks=_SHARES, yticks=_SHARES, ylabel="Observed share")
    axes.tick_params(labelbottom=False)
    below.set(xlim=(0, 1), xticks=_SHARES, xlabel="Predicted probability", ylabel="Samples")
    axes.plot([0, 1], [0, 1], color=style.GREY, linestyle=":", linewidth=1, label="Perfect")
    counts, several = np.zeros(curves.CALIBRATION_BINS), len(record.classes) > 2
    for k in _shown(record):
        reliability = curves.calibration(record, k)
        counts += reliability.counts
        known = ~np.isnan(reliability.predicted)
        colour, dashes, marker = (_of(values, k if several else 0) for values in _LOOKS)
        axes.errorbar(
            reliability.predicted[known], reliability.observed[known],
            yerr=None if several else reliability.deviation[known],
            label=_class(record, k), color=colour, linestyle=dashes, marker=marker, linewidth=1, elinewidth=0.8,
            capsize=2,
        )  # fmt: skip
    axes.legend(loc="upper left")
    width = 1 / curves.CALIBRATION_BINS
    below.bar((np.arange(len(counts)) + 0.5) * width, counts, width * 0.9, color=style.SKY)
    most = max(1, int(np.ceil(np.log10(max(counts.max(), 1)))))
    below.set(yscale="symlog", ylim=(0, 10**most))
    below.set_yticks([0, 10 ** (most // 2), 10**most], [_thousands(n) for n in (0, 10 ** (most // 2), 10**most)])
    below.minorticks_off()
    return figure


def learning_curve(record: Record) -> Figure | None:
    """Matthews correlation over the number of samples trained on, with a band of one standard deviation."""
    full = [rating["mcc"] for rating in (curves.figures_of(held) for held in record.held)]
    if not record.curve or not record.facts.get("training_rows"):
        return None
    by_rows: dict[int, list[float]] = {}
    for point in record.curve:
        by_rows.setdefault(point.rows, []).append(point.figures["mcc"])
    by_rows[int(record.facts["training_rows"])] = full
    rows = sorted(by_rows)
    mean, deviation = np.array([curves.mean_and_deviation(by_rows[n]) for n in rows]).T
    figure, axes = _axes("Learning curve", 0.8)
    axes.set(xlabel="Training samples", ylabel="Matthews correlation", xscale="log")
    axes.fill_between(rows, mean - deviation, mean + deviation, color=style.SKY, alpha=0.35, linewidth=0)
    axes.plot(rows, mean, color=style.BLUE, marker="o", label="Mean and one standard deviation")
    for n in rows:
        axes.plot([n] * len(by_rows[n]), by_rows[n], "_", color=style.GREY, markersize=5, zorder=1)
    axes.plot([], [], "_", color=style.GREY, markersize=5, label="Each split")
    axes.set_xticks(rows, [_thousands(n) for n in rows])
    axes.minorticks_off()
    axes.margins(x=0.08)
    low, high = axes.get_ylim()
    axes.set_ylim(low - 0.25 * (high - low), high)
    axes.legend(loc="lower right")
    return figure


def score_distribution(record: Record) -> Figure | None:
    """Probabilities by true class; with more than two classes, the probability of the true class."""
    two = len(record.classes) == 2
    figure, axes = _axes("Score distribution", 0.8)
    axes.set(xlabel="Probability of class " + _name(record, 1) if two else "Probability of the true class")
    axes.set(ylabel="Share of the class", xlim=(0, 1), xticks=_SHARES)
    edges = np.linspace(0, 1, BINS + 1)
    for k in _shown(record) if not two else (0, 1):
        scores = np.concatenate([held.probabilities[held.labels == k, 1 if two else k] for held in record.held])
        weights = np.concatenate([held.weights[held.labels == k] for held in record.held])
        if len(scores):
            share = np.histogram(scores, edges, weights=weights)[0] / weights.sum()
            colour = _of(style.COLOURS, k)
            axes.stairs(
                share, edges, fill=two, alpha=0.25, facecolor=colour, hatch=_of(style.HATCHES, k) if two else None
            )
            axes.stairs(
                share, edges, color=colour, linestyle=_of(style.DASHES, k), linewidth=1.2, label=_class(record, k)
            )
    top = axes.get_ylim()[1]
    if two:
        threshold = float(np.mean([held.threshold for held in record.held]))
        axes.plot(
            [threshold] * 2, [0, top], color=style.BLACK, linewidth=1, label=f"Decision threshold {threshold:.2f}"
        )
    axes.set_ylim(0, (1.1 + 0.12 * len(axes.get_legend_handles_labels()[0])) * top)  # room for the legend
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.0f}%")
    axes.legend(loc="upper center")
    return figure


def confusion_matrix(record: Record) -> Figure | None:
    """Which classes are taken for which: share of each true class, and samples a split."""
    table = curves.confusion(record)
    names = [_wrapped(name, max(5, 40 // len(table))) for name in record.classes]
    more = 0.1 * max(name.count("\n") for name in names)
    share = table / np.maximum(table.sum(axis=1, keepdims=True), 1e-9)
    figure = _figure(1)
    axes = _place(figure, "Confusion matrix", 0.4 + more, 0.38 + more, 0.1, 0.25)
    axes.set(xlabel="Predicted class", ylabel="True class")
    axes.imshow(share, cmap=style.COLOUR_MAP, vmin=0, vmax=1.1, aspect="auto")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names, rotation=90, va="center")
    if len(names) <= MOST_CLASSES:
        for (row, column), count in np.ndenumerate(table):
            text = f"{share[row, column]:.0%}\n{_count(count)}"
            colour = "white" if share[row, column] > 0.55 else style.BLACK
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=9 if len(names) < 5 else 6)
    return figure


def importance(record: Record) -> Figure | None:
    """How much the area under the ROC curve falls when an indicator is shuffled: the most important indicators."""
    helpful = [item for item in record.importances if np.mean(item.falls) > 0]
    shown = (helpful or record.importances)[:MOST_INDICATORS]
    if not shown:
        return None
    labels = [_wrapped(item.label, 24) for item in shown]
    lines = sum(1 + label.count("\n") for label in labels)
    height = 0.75 + 0.14 * lines + 0.06 * len(shown)
    figure = _figure(height / style.WIDTH)
    axes = _place(figure, "", 1.45, 0.38, 0.14, 0.3)
    figure.text(0.02, 1 - 0.08 / height, "Importance of indicators", fontsize=9, fontweight="bold", va="top")
    mean, deviation = np.array([curves.mean_and_deviation(item.falls) for item in shown]).T
    places, at = [], 0.0
    for label in labels:
        size = 1 + 0.75 * label.count("\n")
        places.append(at + size / 2)
        at += size + 0.35
    axes.barh(
        places, mean, 0.62, xerr=deviation, color=style.SKY, edgecolor=style.BLUE, linewidth=0.6,
        error_kw={"elinewidth": 0.8, "capsize": 1.5},
    )  # fmt: skip
    axes.set_yticks(places, labels, linespacing=0.95)
    axes.set_ylim(at, -0.25)
    axes.set_xlabel("Drop in AUC when shuffled")
    axes.locator_params(axis="x", nbins=4)
    axes.tick_params(axis="y", length=0)
    axes.grid(visible=False, axis="y")
    axes.axvline(0, color=style.GREY, linewidth=0.6)
    return figure


def course_of_training(record: Record) -> Figure | None:
    """Loss by epoch on the rows trained on and on those held out."""
    histories = [history for history in record.histories if history and "loss" in history[0]]
    if record.kind != TRAINING or not histories:
        return None
    figure, axes = _axes("Training progress", 0.8)
    axes.set(xlabel="Epoch", ylabel="Cross-entropy")
    for number, (key, label) in enumerate({"loss": "Trained on", "held_out_loss": "Held out"}.items()):
        losses = np.array([[figures.get(key, np.nan) for figures in history] for history in histories])
        axes.plot(
            np.arange(1, losses.shape[1] + 1), losses.mean(axis=0), color=_of(style.COLOURS, number),
            linestyle=_of(style.DASHES, number), marker=_of(style.MARKERS, number), markevery=0.1, label=label,
        )  # fmt: skip
    axes.locator_params(axis="x", integer=True)
    axes.legend(loc="best")
    return figure


FIGURES: dict[str, Callable[[Record], Figure | None]] = {
    "roc-curve": roc_curve,
    "precision-recall": precision_recall,
    "score-distribution": score_distribution,
    "calibration": calibration,
    "confusion-matrix": confusion_matrix,
    "importance": importance,
    "learning-curve": learning_curve,
    "course-of-training": course_of_training,
}
"""By the name of their files."""

LATE = ("importance",)
"""Figures of what a record does not hold from the beginning."""


# ---- what they share ----


def _figure(height: float) -> Figure:
    """Make a figure of the usual width; ``height`` in widths."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(style.WIDTH, style.WIDTH * height))
    FigureCanvasAgg(figure)
    return figure


def _axes(title: str, height: float) -> tuple[Figure, Axes]:
    figure = _figure(height)
    return figure, _place(figure, title, 0.55, 0.38, 0.14, 0.27)


def _square(title: str) -> tuple[Figure, Axes]:
    figure = _figure(1)
    axes = _place(figure, title, 0.5, 0.38, 0.14, 0.25)
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xticks=_SHARES, yticks=_SHARES)
    return figure, axes


def _place(figure: Figure, title: str, left: float, bottom: float, right: float, top: float) -> Axes:
    """Add axes with these margins, in inches; labels and title have fixed places, which is a quarter quicker."""
    width, height = figure.get_size_inches()
    inside = width - left - right, height - bottom - top
    axes = figure.add_axes((left / width, bottom / height, inside[0] / width, inside[1] / height))
    axes.xaxis.set_label_coords(0.5, -(bottom - 0.14) / inside[1])
    axes.yaxis.set_label_coords(-(left - 0.15) / inside[0], 0.5)
    axes.set_title(title, y=1)
    return axes


def _mean_curve(axes: Axes, record: Record, k: int, heights: Any, label: str) -> None:
    """Draw the mean of curves on the grid; of two classes also each curve and the band of a standard deviation."""
    mean, deviation = heights.mean(axis=0), heights.std(axis=0)
    two, several = len(record.classes) == 2, len(heights) > 1
    colour, dashes = (style.BLUE, "-") if two else (_of(style.COLOURS, k), _of(style.DASHES, k))
    if two and several:
        low, high = np.maximum(mean - deviation, 0), np.minimum(mean + deviation, 1)
        axes.fill_between(curves.GRID, low, high, color=style.SKY, alpha=0.35, linewidth=0)
        for number, height in enumerate(heights):
            name = "" if number else "Each split"
            axes.plot(curves.GRID, height, color=style.GREY, linewidth=0.4, alpha=0.7, label=name)
    name = f"{'Mean' if several else 'Curve'}: {label}" if two else f"{_name(record, k)}: {label}"
    axes.plot(curves.GRID, mean, color=colour, linestyle=dashes, label=name, zorder=3)


def _shown(record: Record) -> list[int]:
    return curves.classes_shown(record)[:MOST_CLASSES]


def _of(values: tuple[Any, ...], number: int) -> Any:
    return values[number % len(values)]


def _class(record: Record, k: int) -> str:
    name = class_in_words(record, _name(record, k))
    return name[:1].upper() + name[1:]


def _name(record: Record, k: int) -> str:
    return _short(record.classes[k], 26 if len(record.classes) == 2 else 18)


def _short(text: str, length: int) -> str:
    """Shorten a name in its middle: beginnings and ends tell names apart."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if len(text) <= length:
        return text
    end = (length - 1) // 2
    return f"{text[: length - 1 - end]}…{text[-end:]}"


def _wrapped(text: str, width: int) -> str:
    """Lay a text on at most two lines of about so many characters."""
    lines = textwrap.wrap(_short(text, 2 * width - 2), width, break_long_words=True)
    return "\n".join(lines[:2])


def _with_deviation(value: tuple[float, float], record: Record) -> str:
    return f"{value[0]:.3f} ± {value[1]:.3f}" if len(record.held) > 1 else f"{value[0]:.3f}"


def _thousands(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _count(number: float) -> str:
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"
