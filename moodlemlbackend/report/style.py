"""How figures look: the one place for colours, line styles, fonts and sizes.

Made for a column of 8 cm in print. Colours are those of Okabe & Ito (2008), which the colour-blind tell apart; lines
also differ in their dashes, areas in their hatches and points in their markers, for print without colours.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, BLACK = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#000000",
)  # fmt: skip
GREY, LIGHT = "#777777", "#dddddd"

COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK)
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
HATCHES = ("", "//////", "......", "xxxxxx", "------", "++++++", "oooo")
"""By number of a class."""

WIDTH = 3.15
"""Inches, a column of 8 cm."""

DOTS_PER_INCH = 200
COLOUR_MAP = "Blues"

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": LIGHT,
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelcolor": BLACK,
    "ytick.labelcolor": BLACK,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.fontsize": 7,
    "legend.frameon": True,
    "legend.framealpha": 0.85,
    "legend.edgecolor": "none",
    "legend.fancybox": False,
    "legend.borderpad": 0.2,
    "legend.handlelength": 2.4,
    "legend.labelspacing": 0.3,
    "legend.borderaxespad": 0.3,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "hatch.linewidth": 0.4,
    "text.hinting": "none",
    "text.usetex": False,
    "text.parse_math": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "moodlemlbackend",
    "savefig.dpi": DOTS_PER_INCH,
}


@contextmanager
def applied() -> Iterator[None]:
    """Draw and save in this style. Text is never read as mathematics: names of indicators are anybody's."""
    import matplotlib as mpl

    with mpl.rc_context(_SETTINGS):
        yield
