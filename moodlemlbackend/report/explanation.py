"""Figure of why one sample is predicted as it is: from the baseline to the sample, a bar an indicator."""

from __future__ import annotations

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from moodlemlbackend.errors import UsageError
from moodlemlbackend.files import replacing
from moodlemlbackend.report import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from moodlemlbackend.processor.explanation import Contribution, Explanation

FORMATS = (".png", ".svg")

_WIDTH, _BAR, _ABOVE, _LINE, _BELOW = 7.0, 0.4, 1.1, 0.16, 0.5  # inches
_LINES = 4  # of the title, that have room above
_LABEL_CHARACTERS, _TITLE_CHARACTERS = 42, 102
_UNDER_HALF = (0.01, 0.1, 1, 5, 20, 10, 30, 2, 3, 7, 15, 40, 4, 6, 25, 0.5, 0.2, 12, 35, 45)
_PERCENT = (50, *(share for percent in _UNDER_HALF for share in (percent, 100 - percent)))  # the roundest first


def check_format(path: Path) -> None:
    """Raise UsageError when no figure can be written to a file with this ending."""
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"The figure {path} cannot be drawn: its name must end in {' or '.join(FORMATS)}.")


def save(explanation: Explanation, path: Path, *, top: int = 10) -> None:
    """Write :func:`draw`'s figure to a PNG or SVG file; UsageError, or StorageError when it cannot be written."""
    check_format(path)
    content = io.BytesIO()
    with style.applied():
        draw(explanation, top=top).savefig(content, format=path.suffix[1:].lower())
    with replacing(path) as file:
        file.write(content.getvalue())


def draw(explanation: Explanation, *, top: int = 10) -> Figure:
    """Draw the ``top`` indicators of an explanation, and the others together."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    reasons = explanation.largest(top)
    lines = _title(explanation)
    above = _ABOVE + _LINE * max(0, len(lines) - _LINES)
    height = above + _BAR * (len(reasons) + 0.6) + _BELOW
    with style.applied():
        figure = Figure(figsize=(_WIDTH, height))
        FigureCanvasAgg(figure)
        figure.subplots_adjust(left=0.43, right=0.97, bottom=_BELOW / height, top=1 - above / height)
        axes = figure.add_subplot(ylim=(len(reasons) - 0.3, -0.9))
        _draw_bars(axes, explanation.baseline, reasons)
        _draw_frame(axes, explanation, reasons)
        figure.suptitle("\n".join(lines), x=0.02, ha="left", y=1 - 0.1 / height, va="top")
    return figure


def _title(explanation: Explanation) -> list[str]:
    """The sentences in lines that are not too wide; a number stays with its sign of percent."""
    sentences = (sentence.replace(" %", "\N{NO-BREAK SPACE}%") for sentence in explanation.sentences())
    return [line for sentence in sentences for line in textwrap.wrap(sentence, _TITLE_CHARACTERS)]


def _draw_bars(axes: Axes, begin: float, reasons: list[Contribution]) -> None:
    """Draw each change from where the one before it ended."""
    for position, reason in enumerate(reasons):
        end = begin + reason.contribution
        colour = style.ORANGE if reason.contribution > 0 else style.BLUE
        axes.barh(position, reason.contribution, left=begin, height=0.6, color=colour)
        axes.plot([end, end], [position - 0.3, position + 1.3], color=style.GREY, linewidth=0.6)
        where, behind = (max(begin, end), position), {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
        axes.annotate(str(reason), where, (3, 0), textcoords="offset points", va="center", bbox=behind, zorder=3)
        begin = end
    labels = [f"{_short(reason.label)}\n{_short(reason.value)}".strip() for reason in reasons]
    axes.set_yticks(range(len(reasons)), labels)


def _draw_frame(axes: Axes, explanation: Explanation, reasons: list[Contribution]) -> None:
    ends = explanation.baseline + np.cumsum([0, *(reason.contribution for reason in reasons)])
    room = 0.08 * max(np.ptp(ends), 1)
    axes.set_xlim(ends.min() - room, ends.max() + 2 * room)  # the bars' numbers stand at the right
    axes.axvline(explanation.baseline, color=style.GREY, linestyle=":", linewidth=1)
    axes.axvline(explanation.logit, color=style.BLACK, linewidth=1)
    axes.set_xlabel(f"log-odds of class {explanation.explained}: from the baseline (dotted) to this sample (line)")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    _mark_probabilities(axes, explanation.explained)


def _mark_probabilities(axes: Axes, explained: str) -> None:
    """Give the axis of log-odds one of probabilities on top, with as many round ones as have room."""
    low, high = axes.get_xlim()
    marked: dict[float, str] = {}
    for percent in _PERCENT:
        at = float(np.log(percent / (100 - percent)))
        if low <= at <= high and all(abs(at - other) > 0.11 * (high - low) for other in marked):
            marked[at] = f"{percent:g}%"
    top = axes.secondary_xaxis("top")
    top.set_xticks([*marked], [*marked.values()])
    top.set_xlabel(f"probability of class {explained}")


def _short(text: str) -> str:
    return textwrap.shorten(text, _LABEL_CHARACTERS, placeholder=" …")
