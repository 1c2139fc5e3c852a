"""Whether people are notified: off until an administrator switches it on, and then about new predictions only.

The setting says what is wanted; the store remembers since when runs have seen it so. A run that sees it changed notes
that before it predicts. With notifications off it writes no messages; whenever they are switched, the messages that
still wait are withdrawn. So nobody ever hears of predictions that were made while notifications were off.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.db import facts, notifications
from moodlemlbackend.analytics.features import definitions
from moodlemlbackend.analytics.site.moodle_models import PREDICTING_TASK, predicting_targets
from moodlemlbackend.settings.analytics import SETTINGS

if TYPE_CHECKING:
    from moodlemlbackend.analytics.db import Connection
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings

FACT = "notifications"
ATTEMPTS = 5
"""After so many a message is given up."""

_MOST_NAMED = 3


@dataclass(frozen=True)
class Switch:
    """Whether notifications are on, and the Unix time since when runs have seen that, None while none has."""

    on: bool
    since: int | None = None

    @property
    def sentence(self) -> str:
        """What an administrator reads."""
        if not self.on:
            return (
                "Notifications are off: predictions are made, but nobody is notified. To switch them on, write "
                "notifications = on in the [analytics] section of the settings file, or set the environment variable "
                f"{SETTINGS['notifications'].variable} to on."
            )
        if self.since is None:
            return "Notifications are on: people are notified about new predictions, not about earlier ones."
        since = time.gmtime(self.since)
        day = f"{since.tm_mday} {time.strftime('%B %Y, %H:%M', since)} UTC"
        return f"Notifications have been on since {day}: people are notified about predictions made since then."


def read(connection: Connection, settings: AnalyticsSettings) -> Switch:
    """The switch as the setting has it, and as runs have seen it."""
    noted = facts.read(connection, FACT)
    seen = noted is not None and noted["on"] is settings.notifications
    return Switch(settings.notifications, noted["since"] if seen else None)


def follow(workspace: Workspace) -> int:
    """Note how the setting is, and withdraw what waits if that has changed; returns how many deliveries."""
    on = workspace.settings.notifications
    with workspace.store.read() as connection:
        if read(connection, workspace.settings).since is not None:
            return 0
    with workspace.store.write() as connection:
        noted = facts.hold(connection, FACT, None)
        if noted is not None and noted["on"] is on:
            return 0
        facts.write(connection, FACT, {"on": on, "since": workspace.clock()})
        reason = "It was written before notifications were switched on." if on else "Notifications were switched off."
        return notifications.withdraw(connection, ATTEMPTS, reason)


def also_by_moodle(site: Site, *, on: bool) -> str:
    """A warning that the site's Moodle notifies people itself, with what to do; empty when it does not."""
    targets = [
        definitions.target_name(target)
        for target in predicting_targets(site)
        if not definitions.has_target(target) or definitions.audience(target)
    ]
    if not targets:
        return ""
    named = "; ".join(targets[:_MOST_NAMED])
    more = f" and {len(targets) - _MOST_NAMED} more" if len(targets) > _MOST_NAMED else ""
    before = "So that nobody is notified twice" if on else "Before you switch notifications on here"
    return (
        f"Moodle itself also predicts and notifies people, with the models it has enabled ({named}{more}). {before}, "
        f"disable the task {PREDICTING_TASK} in Moodle (Site administration > Server > Tasks > Scheduled tasks)."
    )
