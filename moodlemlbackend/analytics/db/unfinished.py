"""What a killed process may have left half done: folders that are to go, models whose weights have not come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

_REMOVAL, _IMPORT = "removal ", "import "


def begin_removal(connection: Connection, modelid: int, folders: Sequence[str]) -> None:
    """Note which folders of a model, relative to that of the workspace, are to go."""
    facts.write(connection, f"{_REMOVAL}{modelid}", [*folders])


def removal(connection: Connection, modelid: int) -> list[str]:
    """The folders of a model that are to go."""
    return facts.read(connection, f"{_REMOVAL}{modelid}") or []


def end_removal(connection: Connection, modelid: int) -> None:
    """Note that they are gone."""
    facts.forget(connection, f"{_REMOVAL}{modelid}")


def begin_import(connection: Connection, modelid: int) -> None:
    """Note that the weights of a model are still to come; who imports them holds the model's lock."""
    facts.write(connection, f"{_IMPORT}{modelid}", True)


def end_import(connection: Connection, modelid: int) -> None:
    """Note that they have come, or that the model is gone."""
    facts.forget(connection, f"{_IMPORT}{modelid}")


def removals(connection: Connection) -> set[int]:
    """Ids of the models that have folders that are to go."""
    return {int(name.removeprefix(_REMOVAL)) for name in facts.starting_with(connection, _REMOVAL)}


def imports(connection: Connection) -> set[int]:
    """Ids of the models whose weights are still to come."""
    return {int(name.removeprefix(_IMPORT)) for name in facts.starting_with(connection, _IMPORT)}
