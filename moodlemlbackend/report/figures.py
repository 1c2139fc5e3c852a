"""Figures of a run, drawn with matplotlib's object interface: no window system, no global state."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend import metrics

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from moodlemlbackend.processor.evaluation import Rating

_BLUE, _ORANGE, _GREY = "#0072b2", "#d55e00", "#777777"  # told apart by the colour-blind (Okabe & Ito)
_GRID = np.linspace(0, 1, 201)
_DOTS_PER_INCH = 150


def roc_curve(ratings: list[Rating], path: Path) -> None:
    """Draw the ROC curve of class 1: every split, their mean and its band of one standard deviation."""
    curves = [metrics.roc_curve(rating.probabilities[:, 1], rating.labels == 1) for rating in ratings]
    areas = np.array([metrics.roc_auc(rating.probabilities[:, 1], rating.labels == 1) for rating in ratings])
    figure, axes = _square("Share of the other samples predicted as class 1", "Share of class 1 found")
    for number, curve in enumerate(curves):
        axes.plot(curve[0], curve[1], color=_GREY, linewidth=0.6, alpha=0.6, label="" if number else "Each split")
    if len(curves) > 1:
        heights = np.array([np.interp(_GRID, curve[0], curve[1]) for curve in curves])
        heights[:, 0] = 0
        mean, deviation = heights.mean(axis=0), heights.std(axis=0)
        axes.fill_between(
            _GRID, np.maximum(mean - deviation, 0), np.minimum(mean + deviation, 1), color=_BLUE, alpha=0.2
        )
        label = f"Mean: area {areas.mean():.3f} ± {areas.std():.3f}"
        axes.plot(_GRID, mean, color=_BLUE, linewidth=2, label=label)
    else:
        axes.plot(curves[0][0], curves[0][1], color=_BLUE, linewidth=2, label=f"Area {areas[0]:.3f}")
    axes.plot([0, 1], [0, 1], color=_ORANGE, linestyle="--", linewidth=1, label="Chance")
    axes.set_title("ROC curve")
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(path, dpi=_DOTS_PER_INCH)


def precision_recall(ratings: list[Rating], path: Path) -> None:
    """Draw precision over recall of class 1 for every split, with the share of class 1 as the base line."""
    curves = [metrics.precision_recall_curve(rating.probabilities[:, 1], rating.labels == 1) for rating in ratings]
    areas = [metrics.average_precision(rating.probabilities[:, 1], rating.labels == 1) for rating in ratings]
    figure, axes = _square("Share of class 1 found (recall)", "Share of class 1 among those predicted (precision)")
    label = f"Each split: average precision {np.mean(areas):.3f} ± {np.std(areas):.3f}"
    for number, (precision, recall, _) in enumerate(curves):
        (line,) = axes.plot(recall, precision, color=_BLUE, linewidth=0.8, alpha=0.7, drawstyle="steps-post")
        line.set_label("" if number else label)
    base = float(np.mean(np.concatenate([rating.labels for rating in ratings]) == 1))
    axes.axhline(base, color=_ORANGE, linestyle="--", linewidth=1, label=f"Chance: {base:.3f}")
    axes.set_title("Precision and recall")
    axes.legend(loc="lower left", frameon=False)
    figure.savefig(path, dpi=_DOTS_PER_INCH)


def _square(x: str, y: str) -> tuple[Figure, Axes]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.5, 5.5))
    figure.subplots_adjust(left=0.12, right=0.97, bottom=0.1, top=0.94)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(xlim=(0, 1), ylim=(0, 1.01), xlabel=x, ylabel=y)
    axes.grid(color="#dddddd", linewidth=0.5)
    return figure, axes
