"""What of a message that has waited still concerns its reader: what their lists of insights would show now."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import insights, predictions
from moodlemlbackend.analytics.insights.actions import HIDING
from moodlemlbackend.analytics.insights.capabilities import Capabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.db.notifications import Delivery
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace


class StillNew:
    """Answers for the messages of one run; without a site it cannot say who may read what."""

    def __init__(self, workspace: Workspace, site: Site | None) -> None:
        self._workspace = workspace
        self._site = site

    def __call__(self, userid: int, deliveries: Sequence[Delivery]) -> dict[int, set[int]]:
        """The ids of the predictions that still concern a user, by delivery; messages without any are left out.

        They are in the last range of their samples, the user has not dealt with them, and may still see them.
        """
        by_delivery = {delivery.delivery: json.loads(delivery.data) for delivery in deliveries}
        by_delivery = {key: data for key, data in by_delivery.items() if data.get("predictions")}
        every = {prediction["id"] for data in by_delivery.values() for prediction in data["predictions"]}
        if not every:
            return {}
        with self._workspace.store.read() as connection:
            current = insights.current_ids(connection, every)
            current -= predictions.done_by(connection, userid, every, HIDING).keys()
        return {
            key: {
                prediction["id"]
                for prediction in data["predictions"]
                if prediction["id"] in current and self._sees(userid, data, prediction["sample"])
            }
            for key, data in by_delivery.items()
        }

    def _sees(self, userid: int, data: Mapping[str, Any], sampleid: int) -> bool:
        if self._capabilities is None:
            return True
        contextid = data["context"]["id"]
        return userid in self._capabilities.recipients(contextid) and self._capabilities.sees(
            userid, data["model"]["target"], contextid, sampleid
        )

    @cached_property
    def _capabilities(self) -> Capabilities | None:
        return Capabilities(self._site, self._workspace.clock()) if self._site else None
