"""The command; see :func:`main`."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from fuzz.target import CORPUS, SECONDS, TARGETS, guarded, takes, time_limit

MODULES = ("files", "models", "server", "texts")
LENGTH = 32_768
"""Most bytes of an input."""
MEGABYTES = 3000
"""Most memory of a process."""

for module in MODULES:
    import_module(f"fuzz.{module}")


def replay(name: str, folder: Path) -> int:
    """Give a target its corpus; returns how many inputs."""
    inputs = sorted((CORPUS / name).iterdir())
    for path in inputs:
        if not takes(name, path.read_bytes(), folder) and path.name.startswith("good"):
            raise AssertionError(f"{path} is refused")
    return len(inputs)


def fuzz(name: str, options: list[str], work: Path) -> None:
    """Fuzz one target in this process, which atheris ends; inputs that reach new code are kept, and those that fail."""
    import atheris

    found = work / name
    found.mkdir(parents=True, exist_ok=True)
    with guarded() as folder:
        with atheris.instrument_imports(include=["moodlemlbackend"]):
            replay(name, folder)
        options = [
            f"-artifact_prefix={work}/fault-{name}-",
            f"-timeout={SECONDS}",
            f"-rss_limit_mb={MEGABYTES}",
            *options,
        ]
        options += [f"-max_len={LENGTH}", "-verbosity=0", "-print_final_stats=1", "-reload=0"]
        atheris.Setup([sys.argv[0], *options, str(found), str(CORPUS / name)], lambda data: takes(name, data, folder))
        atheris.Fuzz()


def main() -> int:
    """Fuzz, or only replay the corpora where atheris is not installed; 1 for a fault, whose input is in ``--work``."""
    parser = argparse.ArgumentParser("python -m fuzz", description="Fuzz what reads what comes from outside.")
    parser.add_argument("--target", choices=sorted(TARGETS), action="append", help="only this one; may be repeated")
    parser.add_argument("--seconds", type=int, default=600, help="of all targets together")
    parser.add_argument("--inputs", type=int, default=0, help="most for one target")
    parser.add_argument("--work", type=Path, default=Path("fuzz-work"), help="where inputs that fail, or are new, go")
    parser.add_argument("--replay", action="store_true", help="the corpora only")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    names = given.target or sorted(TARGETS)
    if given.here:
        options = [f"-max_total_time={given.seconds}", *([f"-runs={given.inputs}"] if given.inputs else [])]
        fuzz(names[0], options, given.work.absolute())
    if given.replay or not find_spec("atheris"):
        with guarded() as folder:
            for name in names:
                with time_limit():
                    print(f"{name}: {replay(name, folder)} inputs of its corpus", flush=True)
        return 0
    bad = 0
    for name in names:
        before = set(given.work.glob("fault-*"))
        share = [f"--seconds={max(1, given.seconds // len(names))}", f"--inputs={given.inputs}"]
        command = [sys.executable, "-m", "fuzz", "--here", "--target", name, *share, f"--work={given.work}"]
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")
        inputs = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
        print(f"{name}: {int(inputs[1]) if inputs else 0:,} inputs", flush=True)
        if faults := set(given.work.glob("fault-*")) - before:
            bad += 1
            print(*faults, done.stderr[-5000:], sep="\n", flush=True)
        elif done.returncode or not inputs:
            sys.exit(done.stderr[-5000:])
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
