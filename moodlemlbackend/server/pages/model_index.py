"""What a store of models holds, as the pages for people show it."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import BackendError
from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.report.both_splits import BothSplits, both_splits
from moodlemlbackend.server import limits
from moodlemlbackend.server.jobs.job import DIRHASH, RESULT_NAME, RUNID
from moodlemlbackend.storage.archives import MIB

if TYPE_CHECKING:
    from moodlemlbackend.server.jobs.job import Parts
    from moodlemlbackend.storage import Storage

FIGURE = re.compile(r"[a-z0-9-]{1,64}\.png", re.ASCII)
REPORT = "report.html"
_RESULT_BYTES = MIB


@dataclass(frozen=True)
class ModelFacts:
    """The model in force; ``trouble`` says what is wrong where it cannot be read."""

    processor: str = ""
    created: str = ""
    rows: float = 0
    columns: int = 0
    classes: tuple[str, ...] = ()
    size: int = 0
    trouble: str = ""


@dataclass(frozen=True)
class RunFacts:
    """One run: its number, what it came to, its figures, and whether it has a report."""

    runid: int
    result: dict[str, Any] = field(default_factory=dict)
    figures: tuple[str, ...] = ()
    size: int = 0
    report: bool = False

    @property
    def time(self) -> str:
        """When it began, in UTC."""
        with suppress(ValueError, OverflowError, OSError):
            moment = datetime.fromtimestamp(self.runid / 1000, timezone.utc)
            return moment.strftime("%Y-%m-%d %H:%M:%S")
        return ""

    @property
    def both_splits(self) -> BothSplits | None:
        """Figures in new and in seen courses, where it is an evaluation that rated both."""
        return both_splits(self.result)

    def number(self, name: str) -> float | None:
        """A figure of the result, None where there is none."""
        value = self.result.get(name)
        usable = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return float(value) if usable else None  # type: ignore[arg-type]


@dataclass(frozen=True)
class Entry:
    """One directory of a model id."""

    uniqueid: str
    dirhash: str
    runs: int
    latest: RunFacts | None
    model: ModelFacts | None


def entries(storage: Storage, owner: Parts, *, read_models: bool) -> list[Entry]:
    """List what there is, the latest run first; ``read_models`` looks into the models, too."""
    listed: list[Entry] = []
    for uniqueid in storage.listing(owner):
        if not MODEL_ID.fullmatch(uniqueid) or len(listed) >= limits.PAGE_MODELS:
            continue
        for dirhash in storage.listing((*owner, uniqueid)):
            if DIRHASH.fullmatch(dirhash):
                parts = (*owner, uniqueid, dirhash)
                runs = run_numbers(storage, parts)
                facts = model_facts(storage, parts) if read_models else None
                listed.append(Entry(uniqueid, dirhash, len(runs), RunFacts(runs[0]) if runs else None, facts))
    return sorted(listed, key=lambda entry: -(entry.latest.runid if entry.latest else 0))


def model_facts(storage: Storage, parts: Parts) -> ModelFacts | None:
    """Look at the model in force; None when there is none of ours."""
    from moodlemlbackend.storage.model_store import ModelStore

    try:
        with storage.checkout(parts, write=False) as folder:
            stored = ModelStore(folder).current()
            if stored is None:
                return None
            size = sum(path.stat().st_size for path in stored.folder.iterdir())
    except (BackendError, OSError):
        return ModelFacts(trouble="The model cannot be read.")
    about = stored.settings
    with suppress(TypeError, ValueError):
        return ModelFacts(
            stored.processor,
            stored.created.replace("T", " ")[:19],
            float(about.get("rows", 0)),
            len(about.get("columns") or ()),
            tuple(map(str, about.get("classes") or ())),
            size,
        )
    return ModelFacts(stored.processor, size=size)


def run_numbers(storage: Storage, parts: Parts) -> list[int]:
    """List the runs of a model, the latest first."""
    return sorted((int(name) for name in storage.listing((*parts, "logs")) if RUNID.fullmatch(name)), reverse=True)


def run_facts(storage: Storage, parts: Parts, runid: int) -> RunFacts:
    """Look at one run."""
    try:
        with storage.checkout((*parts, "logs", str(runid)), write=False) as folder:
            files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
            figures = tuple(
                sorted(path.name for path in files if path.parent == folder and FIGURE.fullmatch(path.name))
            )
            size, report = sum(path.stat().st_size for path in files), folder / REPORT in files
            return RunFacts(runid, _result(folder / RESULT_NAME), figures, size, report)
    except (BackendError, OSError):
        return RunFacts(runid)


def content(storage: Storage, parts: Parts, runid: str, name: str) -> bytes | None:
    """Read a picture or the report of a run; None when there is none."""
    with storage.checkout((*parts, "logs", runid), write=False) as folder:
        path = folder / name
        return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _result(path: Path) -> dict[str, Any]:
    with suppress(OSError, ValueError, RecursionError), path.open("rb") as file:
        result = json.loads(file.read(_RESULT_BYTES))
        if isinstance(result, dict):
            return result
    return {}
