"""Who has which role where, and what a role permits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from moodlemlbackend.analytics.site.site import Site

ALLOW, PROHIBIT = 1, -1000
"""Permissions that decide; others leave it to the contexts above."""


def assignments(site: Site, contextids: Sequence[int]) -> list[tuple[int, int]]:
    """Role and user of each assignment in contexts."""
    rows = site.database.rows(
        "SELECT roleid, userid FROM {role_assignments} WHERE contextid IN :contexts", contexts=[*contextids]
    )
    return [(role, user) for role, user in rows]


def assignments_of(site: Site, userid: int) -> list[tuple[int, int]]:
    """Role and context of each assignment of a user."""
    rows = site.database.rows("SELECT roleid, contextid FROM {role_assignments} WHERE userid = :user", user=userid)
    return [(role, context) for role, context in rows]


def permissions(site: Site, capability: str) -> dict[int, dict[int, int]] | None:
    """Permissions of a capability by role and context; None when the site's table of them is not there."""
    if not site.database.schema.has("role_capabilities"):
        return None
    by_role: dict[int, dict[int, int]] = {}
    for role, context, permission in site.database.rows(
        "SELECT roleid, contextid, permission FROM {role_capabilities} WHERE capability = :capability",
        capability=capability,
    ):
        by_role.setdefault(role, {})[context] = permission
    return by_role


def default_role(site: Site) -> int:
    """The role that every user has on the site, 0 for none."""
    setting = site.config.get("defaultuserroleid", "")
    return int(setting) if setting.isdecimal() else 0
