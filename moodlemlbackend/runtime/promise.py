"""What a run will have come to once its model is in force, told just before: it stands should the process end then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

UNFINISHED = "The model is trained and in use, but the steps after training are incomplete:"


@dataclass(frozen=True)
class Promise:
    """A result that stands from when on a file, by its absolute path, has a content."""

    result: dict[str, Any] | str
    file: str
    content: str

    def kept(self, end: str) -> dict[str, Any] | str | None:
        """The result, which says how the process ended; None while the file has another content."""
        try:
            stands = Path(self.file).read_bytes() == self.content.encode()
        except OSError:
            return None
        if not stands or isinstance(self.result, str):
            return self.result if stands else None
        return {**self.result, "info": [*self.result["info"], f"{UNFINISHED} {end}"]}
