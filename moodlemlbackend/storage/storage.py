"""What every storage can do, and the names that it admits."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from moodlemlbackend.errors import StorageError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager
    from pathlib import Path

_PART = re.compile(r"[A-Za-z0-9_@+=-][A-Za-z0-9_@+=.-]{0,254}", re.ASCII)


class Storage(ABC):
    """A base with model directories, each named by ``parts``, the names of the folders that lead to it.

    Safe to share between threads and, after a fork or a pickle, between processes. Every method raises StorageError,
    one sentence without secrets, where the base cannot be used or a part is no plain name.
    """

    @abstractmethod
    def checkout(self, parts: tuple[str, ...], *, write: bool) -> AbstractContextManager[Path]:
        """Give a local directory that holds the model directory ``parts``, which need not exist yet.

        For a local base that is the directory itself. For a remote one it holds the model in force on entry; for
        writing it is a private copy, and what a clean exit finds there, a new version of the model and new runs, is
        published: the runs and the version first, then the pointer to it, in one step. An exception that leaves the
        block publishes nothing. No two checkouts for writing hold one model of a remote base at a time; the second
        waits.

        The runs of a remote base are not in the checkout of its model: check out ``(*parts, "logs", runid)`` for
        reading. A model or run that does not exist gives a directory without it, or a path that is not there.

        Raises
        ------
        StorageError
            Also: another server trains this model all the time, or took it over.
        ModelError
            The model in force is damaged on the remote base.
        """

    @property
    @abstractmethod
    def in_place(self) -> bool:
        """Whether a model is in force once it is published in a checkout, before that ends."""

    def exists(self, parts: tuple[str, ...]) -> bool:
        """Say whether there is such a directory with anything in it."""
        return bool(self.listing(parts))

    @abstractmethod
    def listing(self, parts: tuple[str, ...]) -> list[str]:
        """Return the sorted names of what is in a directory, but those that begin with a dot; () is the base."""

    @abstractmethod
    def remove(self, parts: tuple[str, ...]) -> None:
        """Remove a directory with all in it, models first; nothing to do where there is none.

        A training that is under way on a remote base publishes nothing afterwards.
        """

    @abstractmethod
    def describe(self) -> str:
        """Reach for the base once and say what it is, in a few words; StorageError when it cannot be used."""


def check_parts(parts: tuple[str, ...], *, least: int = 1) -> None:
    """Raise StorageError unless every part is a plain name: no separator, no leading dot, nothing to expand."""
    if len(parts) < least:
        raise StorageError("The base itself cannot be used as a model directory; use a directory inside it.")
    for part in parts:
        if not isinstance(part, str) or not _PART.fullmatch(part):
            raise StorageError(
                f"{str(part)[:80]!r} cannot be the name of a directory in the base; use letters, digits and _ "
                "- . @ + =, and don't begin with a dot."
            )
