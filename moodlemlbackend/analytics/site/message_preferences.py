"""Through what each user wants to hear of insights, as chosen in Moodle."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from moodlemlbackend.analytics.site.site import Site

_ENABLED = "message_provider_moodle_insights_enabled"
_ONLINE, _OFFLINE = "message_provider_moodle_insights_loggedin", "message_provider_moodle_insights_loggedoff"
"""The first from Moodle 4.0 on, the others before."""

_ONLINE_SECONDS = 300
_USERS_A_QUERY = 5000


def wanted_processors(site: Site, userids: Collection[int], now: int) -> dict[int, set[str]]:
    """Names of the message processors that users have chosen, such as ``email`` and ``popup``, none for "none".

    Users who have not chosen are left out. Before Moodle 4.0 the choice is another one for those who are online now.
    """
    ids = sorted(userids)
    chosen: dict[int, dict[str, str]] = {}
    online = set()
    for start in range(0, len(ids), _USERS_A_QUERY):
        for user, name, value, seen in site.database.rows(
            "SELECT p.userid, p.name, p.value, u.lastaccess FROM {user_preferences} p JOIN {user} u ON u.id = p.userid "
            "WHERE p.userid IN :users AND p.name IN :names",
            users=ids[start : start + _USERS_A_QUERY],
            names=[_ENABLED, _ONLINE, _OFFLINE],
        ):
            chosen.setdefault(user, {})[name] = str(value or "")
            if (seen or 0) > now - _ONLINE_SECONDS:
                online.add(user)
    wanted = {}
    for user, values in chosen.items():
        value = values.get(_ENABLED, values.get(_ONLINE if user in online else _OFFLINE))
        if value is not None:
            wanted[user] = {name.strip() for name in value.split(",")} - {"", "none"}
    return wanted
