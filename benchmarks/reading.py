"""Seconds and peak memory of reading and writing a large data set file: ``python benchmarks/reading.py [--peer]``.

The file has 37,953 rows of 415 features, repeated from the rows of a real site when the shared data is beside this
checkout, else generated. Each measurement is the best of three processes of its own; imports are not counted.
"""

from __future__ import annotations

import argparse
import gzip
import io
import itertools
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROWS, FEATURES = 37_953, 415
REPEATS = 3
ROOT = Path(__file__).resolve().parents[1]
REAL = ROOT.parent / "shared" / "data" / "split-evaluation-train.csv.gz"


def rows_of_a_site() -> list[bytes]:
    """Rows of FEATURES cells and a class."""
    if REAL.is_file():
        rows = (line.split(b",") for line in gzip.decompress(REAL.read_bytes()).splitlines()[3:])
        return [b",".join([*row[:FEATURES], row[-1]]) for row in rows]
    dice = random.Random(1)
    cells = [b"0"] * 12 + [b""] * 4 + [b"1", b"-1.00", b"0.33", b"-0.58"]
    return [b",".join([*dice.choices(cells, k=FEATURES), dice.choice([b"0", b"1"])]) for _ in range(2000)]


def make_file(path: Path) -> None:
    names = b",".join(b"input-%d" % i for i in range(FEATURES))
    head = b'nfeatures,targetcolumn,targettype,targetclasses\n%d,TARGET,discrete,"[0,1]"\n%s,TARGET\n' % (
        FEATURES,
        names,
    )
    rows = itertools.islice(itertools.cycle(rows_of_a_site()), ROWS)
    path.write_bytes(head + b"".join(row + b"\n" for row in rows))


def measure(what: str, path: Path) -> None:
    """Print the seconds of one reading and the peak memory of this process in MB."""
    import numpy as np

    from moodlemlbackend.dataset import data_set

    if what == "write":
        data = data_set.read_labelled(path)
        labels = np.array(data.header.classes)[data.labels]
    start = time.perf_counter()
    if what == "whole":
        rows = len(data_set.read_labelled(path).features)
    elif what == "batches":
        rows = sum(len(batch.features) for batch in data_set.read_batches(path, labelled=True)[1])
    elif what == "write":
        data_set.write(io.BytesIO(), data.header.metadata, data.header.columns, data.features, labels=labels)
        rows = len(labels)
    else:
        rows = len(np.genfromtxt(path, delimiter=",", skip_header=3))
    seconds = time.perf_counter() - start
    if rows != ROWS:
        raise SystemExit(f"{rows} rows came back")
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", action="store_true", help="measure numpy.genfromtxt too (slow)")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        measure(arguments.measure[0], Path(arguments.measure[1]))
        return
    with tempfile.TemporaryDirectory() as directory:
        plain = Path(directory) / "dataset"
        packed = Path(directory) / "dataset.gz"
        make_file(plain)
        packed.write_bytes(gzip.compress(plain.read_bytes(), 6))
        cases = [("whole", plain), ("whole", packed), ("batches", plain), ("batches", packed), ("write", plain)]
        if arguments.peer:
            cases.append(("genfromtxt", plain))
        print(f"{ROWS:,} rows x {FEATURES} features, {plain.stat().st_size / 1e6:.0f} MB of text")
        print(f"{'':20}{'seconds':>8}{'peak MB':>9}")
        for what, path in cases:
            command = [sys.executable, "-m", "benchmarks.reading", "--measure", what, str(path)]
            runs = [
                tuple(map(float, subprocess.run(command, cwd=ROOT, check=True, capture_output=True).stdout.split()))
                for _ in range(REPEATS if what != "genfromtxt" else 1)
            ]
            seconds, megabytes = min(runs)
            print(f"{what + (', gzip' if path == packed else ''):20}{seconds:8.2f}{megabytes:9.0f}")


if __name__ == "__main__":
    main()
