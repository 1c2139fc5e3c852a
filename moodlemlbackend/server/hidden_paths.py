"""Where this server keeps things is nobody's business: what leaves it names no path of it.

A job works in its scratch folder on ``dataset`` and ``model``, so that what it records holds no path. Whatever else may
hold one (errors of libraries, logs, reports of runs that a page started) goes through :class:`HiddenPaths`.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any


class HiddenPaths:
    """Puts a word in place of the server's folders: ``folders`` by their words, and those of Python and of scratch."""

    def __init__(self, folders: Mapping[str, str]) -> None:
        own = {tempfile.gettempdir(): "scratch", sys.prefix: "python", sys.base_prefix: "python"}
        own[str(Path(__file__).parents[2])] = "python"
        words: dict[str, str] = {}
        for folder, word in {**own, **folders}.items():
            if "://" not in folder and len(Path(folder).absolute().parts) > 1:
                for path in (os.path.abspath(folder), os.path.realpath(folder)):  # noqa: PTH100
                    words[path] = words[escape(path)] = word
        self._words = sorted(words.items(), key=lambda entry: -len(entry[0]))

    def hide(self, text: str) -> str:
        """Return a text, which may be HTML, without the folders; the longest that fits goes first."""
        for path, word in self._words:
            text = text.replace(path, word)
        return text

    def hide_in(self, value: Any) -> Any:
        """Return what JSON can hold with its texts hidden so; an iterator stays as it is."""
        if isinstance(value, str):
            return self.hide(value)
        if isinstance(value, Mapping):
            return {key: self.hide_in(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.hide_in(item) for item in value]
        return value
