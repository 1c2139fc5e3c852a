"""The names in a model's directory, and the pointer to the version in force.

::

    {model directory}/
        classifier/
            current         "v00000007 <sha256 of its manifest>": the version in force
            v00000006/      the version before it, for readers that are still in it
            v00000007/      manifest.json and arrays.safetensors; never changed once it was in force
            lock            held by who trains the model, where the base is a directory
            classifier.pkl, model.ckpt/
                            a model of the former package
        logs/{runid}/       one folder a run
        .lease              remote bases only: who trains this model, and until when

Nothing here reads or writes a file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

CLASSIFIER = "classifier"
LOGS = "logs"
LEASE = ".lease"

POINTER = "current"
LOCK = "lock"
MANIFEST = "manifest.json"
ARRAYS = "arrays.safetensors"
REFERENCE_FILES = ("classifier.pkl", "model.ckpt")

_VERSION = re.compile(r"v(\d{8})", re.ASCII)
_POINTER_LINE = re.compile(rb"(v\d{8}) ([0-9a-f]{64})\n?")


class Pointer(NamedTuple):
    """Which version is in force, and the checksum of its manifest."""

    version: str
    sha256: str

    @classmethod
    def parse(cls, content: bytes) -> Pointer | None:
        """Read the content of a pointer file; None when it is damaged."""
        line = _POINTER_LINE.fullmatch(content)
        return cls(line[1].decode(), line[2].decode()) if line else None

    def encode(self) -> bytes:
        """Return the content of a pointer file."""
        return f"{self.version} {self.sha256}\n".encode("ascii")


def version_number(name: str) -> int | None:
    """Return the number of the version of which this is the folder; None when it is something else."""
    match = _VERSION.fullmatch(name)
    return int(match[1]) if match else None


def version_name(number: int) -> str:
    """Return the name of a version's folder."""
    return f"v{number:08d}"


def versions(names: Iterable[str]) -> list[str]:
    """Return the names of versions among those in a classifier folder, oldest first."""
    return sorted(name for name in names if version_number(name) is not None)


def highest_version(names: Iterable[str]) -> int:
    """Return the number of the newest version among the names in a classifier folder, 0 when there is none."""
    return max((version_number(name) or 0 for name in names), default=0)


def foreign(names: Iterable[str]) -> list[str]:
    """Return those names in a classifier folder that neither this package nor the former one gives, sorted."""
    ours = {POINTER, LOCK, *REFERENCE_FILES}
    return sorted(name for name in names if not (name in ours or version_number(name) or name.startswith(".")))
