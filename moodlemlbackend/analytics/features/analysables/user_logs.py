"""The logs of users in their own contexts: few, so their times are read as they are."""

from __future__ import annotations

from collections.abc import Sequence

from moodlemlbackend.analytics.site.database import Integers
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.tables import integers_by_key


def user_logs(site: Site, users: Sequence[int], now: int) -> dict[int, tuple[Integers, Integers]]:  # noqa: ARG001
    """Kind of action (READ or WRITE) and Unix time of what each user did in the context of the user's own."""
    found = integers_by_key(
        site,
        "SELECT userid, CASE crud WHEN 'r' THEN 0 ELSE 1 END, timecreated FROM {logstore_standard_log} "
        "WHERE userid IN :users AND contextlevel = 30 AND contextinstanceid = userid AND crud IN ('r', 'c', 'u')",
        2,
        users=users,
    )
    return {user: (table[:, 0], table[:, 1]) for user, table in found.items()}
