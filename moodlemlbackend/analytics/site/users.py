"""Users: who is analysed, and what their profiles say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from moodlemlbackend.analytics.site.site import Site

USERS_A_QUERY = 5000


class UserRow(NamedTuple):
    """A user as the list of users gives it."""

    id: int
    firstname: str
    lastname: str
    created: int
    context: int


def analysed_users(site: Site) -> list[UserRow]:
    """Users who are confirmed, not deleted, not suspended, neither administrator nor guest; by id."""
    rows = site.database.rows(
        "SELECT u.id, u.firstname, u.lastname, u.timecreated, x.id FROM {user} u "
        "JOIN {context} x ON x.contextlevel = 30 AND x.instanceid = u.id "
        "WHERE u.deleted = 0 AND u.confirmed = 1 AND u.suspended = 0 AND u.id NOT IN :others ORDER BY u.id",
        others=[*site.administrators, site.guest],
    )
    return [
        UserRow(user, str(first or ""), str(last or ""), made or 0, context)
        for user, first, last, made, context in rows
    ]


def first_access(site: Site, users: Sequence[int]) -> int | None:
    """Unix time of the earliest first access of some users; None without any."""
    earliest = site.database.rows("SELECT MIN(firstaccess) FROM {user} WHERE id IN :users", users=users)[0][0]
    return None if earliest is None else int(earliest)


class ProfileRow(NamedTuple):
    """A profile's columns; whether texts are there is 0 or 1, ``filled`` of each of the fields that were asked for."""

    id: int
    confirmed: int
    policy_agreed: int
    tracks_forums: int
    described: int
    pictured: int
    named: int
    filled: tuple[int, ...]


def user_profiles(site: Site, users: Sequence[int], fields: Sequence[str]) -> Iterator[ProfileRow]:
    """Profiles of users, with which of some text columns are filled in."""
    columns = ", ".join(f"CASE WHEN {name} <> '' THEN 1 ELSE 0 END" for name in fields)
    for part in _parts(users):
        rows = site.database.rows(
            "SELECT id, confirmed, policyagreed, trackforums, CASE WHEN description <> '' THEN 1 ELSE 0 END, "
            "CASE WHEN picture IS NULL THEN 0 ELSE 1 END, "
            "CASE WHEN firstname <> '' AND lastname <> '' AND email <> '' THEN 1 ELSE 0 END, "
            f"{columns} FROM {{user}} WHERE id IN :users",
            users=part,
        )
        for user, confirmed, agreed, tracks, described, pictured, named, *filled in rows:
            yield ProfileRow(user, confirmed, agreed, tracks, described, pictured, named, tuple(filled))


def users_with_preference(site: Site, users: Sequence[int], name: str, value: str) -> set[int]:
    """Those of some users who have a preference with a value."""
    matching: set[Any] = set()
    for part in _parts(users):
        matching.update(
            user
            for (user,) in site.database.rows(
                "SELECT userid FROM {user_preferences} WHERE userid IN :users AND name = :name AND value = :value",
                users=part,
                name=name,
                value=value,
            )
        )
    return matching


def _parts(users: Sequence[int]) -> Iterator[Sequence[int]]:
    return (users[start : start + USERS_A_QUERY] for start in range(0, len(users), USERS_A_QUERY))
