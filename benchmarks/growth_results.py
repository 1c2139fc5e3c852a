"""Results of the benchmark of growth: kept in a CSV file, their slopes, and their pictures."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import linear_regression
from typing import Any, NamedTuple

from measuring import Measured

LIMIT = 1.1
"""Of slopes."""

UPPER = 12
"""Slopes are of the sizes from a twelfth of the largest on: the last decade, and a little tolerance."""

GROWN = 1.5
"""Work that takes less than so many times as long as at the smallest size has not grown beyond the noise yet."""

COLOURS_KEPT = 128
"""In a picture, to keep its file small."""

HEAD = ("dimension", "work", "size", "seconds", "core seconds", "peak MB", "database seconds")


class Result(NamedTuple):
    """One work at one size."""

    dimension: str
    work: str
    size: int
    run: Measured
    database_seconds: float

    @property
    def core_seconds(self) -> float:
        """Those of the process and of its sessions in the database."""
        return self.run.core_seconds + self.database_seconds


# ---- the file ----


def add(path: Path, results: Iterable[Result]) -> None:
    """Keep results as soon as they are known, in place of earlier ones of the same work and size."""
    for result in results:
        print(f"{result.dimension} {result.size:,}: {result.work}: {result.core_seconds:.2f} core seconds, "
              f"{result.run.megabytes:.0f} MB", file=sys.stderr, flush=True)  # fmt: skip
        kept = [other for other in (read(path) if path.exists() else []) if other[:3] != result[:3]]
        order = {result.dimension: number for number, result in enumerate(reversed([*kept, result]))}
        listed = sorted([*kept, result], key=lambda one: (-order[one.dimension], one.work, one.size))
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(HEAD)
            for one in listed:
                figures = (*one.run, one.database_seconds)
                writer.writerow(
                    [*one[:3], *(f"{figure:.4g}" if figure < 1000 else f"{figure:.0f}" for figure in figures)]
                )


def read(path: Path) -> list[Result]:
    """Read what is kept."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Result(row["dimension"], row["work"], int(row["size"]),
                   Measured(float(row["seconds"]), float(row["core seconds"]), float(row["peak MB"])),
                   float(row["database seconds"]))
            for row in csv.DictReader(file)
        ]  # fmt: skip


# ---- slopes ----


class Series(NamedTuple):
    """One work at all sizes, the smallest first."""

    dimension: str
    work: str
    results: Sequence[Result]

    @property
    def largest(self) -> Result:
        """The result at the largest size."""
        return self.results[-1]

    @property
    def seconds(self) -> list[float]:
        """Core seconds."""
        return [result.core_seconds for result in self.results]

    @property
    def time_slope(self) -> float | None:
        """Of the core seconds as they are."""
        return self._slope(self.seconds)

    @property
    def growth_slope(self) -> float | None:
        """Of the core seconds beyond those of the smallest size, against the size beyond it: without the start.

        None if fewer than two sizes take clearly longer.
        """
        first = self.seconds[0]
        beyond = [seconds - first if seconds > GROWN * first else 0 for seconds in self.seconds]
        return self._slope(beyond, self.results[0].size)

    @property
    def memory_slope(self) -> float | None:
        """Of the peak memory as it is."""
        return self._slope([result.run.megabytes for result in self.results])

    def _slope(self, figures: Sequence[float], smallest: int = 0) -> float | None:
        """Least squares of the logarithms over the sizes of the last decade; None for fewer than two sizes."""
        points = [
            (math.log(result.size - smallest), math.log(figure))
            for result, figure in zip(self.results, figures, strict=True)
            if result.size * UPPER >= self.largest.size and figure > 0
        ]
        return linear_regression(*zip(*points, strict=True)).slope if len(points) > 1 else None


def series(results: Iterable[Result]) -> list[Series]:
    """Put results of the same work together, in the order of the file."""
    found: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        found.setdefault((result.dimension, result.work), []).append(result)
    return [Series(*key, sorted(listed, key=lambda one: one.size)) for key, listed in found.items()]


def warm(results: Iterable[Result]) -> list[Series]:
    """All series but those of pages that are asked for the first time."""
    return [one for one in series(results) if not one.work.endswith(", cold")]


def table(results: Iterable[Result]) -> str:
    """The table of slopes, in Markdown; of pages, the times after the first."""
    lines = [
        "| what grows: work | up to | core s there | in the database | peak MB there | slope of time | "
        "without the start | of memory |",
        "|---|---|---|---|---|---|---|---|",
    ]

    def shown(slope: float | None) -> str:
        return "–" if slope is None else f"{slope:.2f}" + (" !" if slope > LIMIT else "")

    for one in warm(results):
        largest = one.largest
        slopes = " | ".join(map(shown, (one.time_slope, one.growth_slope, one.memory_slope)))
        lines.append(
            f"| {one.dimension}: {one.work} | {largest.size:,} | {largest.core_seconds:.2f} | "
            f"{largest.database_seconds:.2f} | {largest.run.megabytes:.0f} | {slopes} |"
        )
    return "\n".join(lines)


# ---- pictures ----


def draw(results: Sequence[Result], folder: Path) -> None:
    """Draw time and memory of all dimensions as PNG: what grows with its name, the rest in grey."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from PIL import Image

    from moodlemlbackend.report import style

    listed = warm(results)
    dimensions = list(dict.fromkeys(one.dimension for one in listed))
    for name, label in (("time", "core seconds"), ("memory", "peak memory in MB")):
        with style.applied():
            rows = -(-len(dimensions) // 3)
            figure, axes = plt.subplots(rows, 3, figsize=(7.2, 2.1 * rows), layout="constrained", squeeze=False)
            for axis, dimension in zip(axes.flat, dimensions, strict=False):
                _panel(axis, dimension, [one for one in listed if one.dimension == dimension], memory=name == "memory")
            for axis in axes.flat[len(dimensions) :]:
                axis.set_visible(False)
            figure.supylabel(label, fontsize=8)
            drawn = io.BytesIO()
            figure.savefig(drawn, dpi=110)
            plt.close(figure)
        Image.open(drawn).convert("RGB").quantize(COLOURS_KEPT).save(folder / f"scaling-{name}.png", optimize=True)


def _panel(axis: Any, dimension: str, listed: Sequence[Series], *, memory: bool) -> None:
    """Draw one dimension, with a dotted line of slope 1 for comparison."""
    from matplotlib import ticker

    from moodlemlbackend.report import style

    coloured, highest = 0, (1, 0.0)
    if memory:  # pages are made in one process
        pages = [one for one in listed if one.work.startswith("page of")]
        listed = [*(one for one in listed if one not in pages), *(one._replace(work="pages") for one in pages[:1])]
    for one in listed:
        figures = [result.run.megabytes for result in one.results] if memory else one.seconds
        highest = max(highest, (one.largest.size, figures[-1]), key=lambda point: point[1])
        look: dict[str, Any] = {"color": style.LIGHT, "linewidth": 0.8, "zorder": 1}
        if figures[-1] > GROWN * figures[0]:
            look = {"color": style.COLOURS[coloured % 7], "linestyle": style.DASHES[coloured % 7], "linewidth": 1,
                    "marker": style.MARKERS[coloured % 7], "markersize": 3, "label": one.work}  # fmt: skip
            coloured += 1
        axis.plot([result.size for result in one.results], figures, **look)
    size, figure = highest
    axis.plot([size / 30, size], [figure / 30, figure], color=style.GREY, linestyle=":", linewidth=0.8, zorder=0)
    axis.set_xscale("log")
    axis.set_yscale("log")
    axis.xaxis.set_major_formatter(ticker.EngFormatter(sep=""))
    axis.yaxis.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    for side in (axis.xaxis, axis.yaxis):
        side.set_minor_formatter(ticker.NullFormatter())
    axis.set_title(dimension)
    if coloured:
        axis.legend(fontsize=5, loc="upper left")
