"""Run bandit, and print what is neither mended nor accepted with a reason in ``accepted_findings.toml``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
LOOKED_AT = ("moodlemlbackend", "cli", "tools", "benchmarks", "fuzz", "setup.py", "noxfile.py")
ACCEPTED = "tools/accepted_findings.toml"
Findings = dict[str, list[str]]


def main() -> int:
    """Print what is wrong, or nothing; the exit code."""
    accepted = tomllib.loads((ROOT / ACCEPTED).read_text("utf-8"))
    wrong = list(compare(find(), accepted))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    return 1 if wrong else 0


def find() -> Findings:
    """Rule and path of what bandit finds, with the place and sentence of each finding."""
    command = [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json", *LOOKED_AT]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    answer = json.loads(done.stdout)
    if answer["errors"]:
        sys.exit(f"bandit could not read everything: {answer['errors']}")
    findings: Findings = {}
    for one in answer["results"]:
        path = Path(one["filename"]).as_posix()
        place = f"{path}:{one['line_number']}: {one['test_id']} {one['issue_text'].strip()}"
        findings.setdefault(f"{one['test_id']} {path}", []).append(place)
    return findings


def compare(findings: Findings, accepted: dict[str, str | list[int | str]]) -> Iterator[str]:
    """Sentences about findings without a reason, and reasons without a finding."""
    used = set()
    for key, places in findings.items():
        entry = key if key in accepted else next((one for one in accepted if fnmatch(key, one)), None)
        if entry is None:
            yield from (f"{place} Mend it, or give the reason why it is harmless in {ACCEPTED}." for place in places)
            continue
        used.add(entry)
        number = accepted[entry][0] if isinstance(accepted[entry], list) else len(places)
        if number != len(places):
            yield from places
            yield f"{ACCEPTED} accepts {number} of these for {key}, and there are {len(places)}: mend or count them."
    for entry in sorted(accepted.keys() - used):
        yield f"{ACCEPTED}: nothing is found for {entry} any more; remove the line."


if __name__ == "__main__":
    sys.exit(main())
