"""What of a message that has waited still concerns its reader: what is so, what they may see, what nobody acted on."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics.db import follow_ups, insights, predictions
from moodlemlbackend.analytics.insights.actions import HIDING
from moodlemlbackend.analytics.insights.capabilities import Capabilities
from moodlemlbackend.analytics.students.standing import State, standing_of

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

        They are in the last range of their samples, the user has not dealt with them and may still see them, and no
        teacher has contacted, resolved or snoozed the student since the message was written.
        """
        by_delivery = {delivery.delivery: json.loads(delivery.data) for delivery in deliveries}
        by_delivery = {key: data for key, data in by_delivery.items() if data.get("predictions")}
        written = {delivery.delivery: delivery.timecreated for delivery in deliveries}
        courses = {data["context"]["course"] for data in by_delivery.values()} - {0}
        every = {prediction["id"] for data in by_delivery.values() for prediction in data["predictions"]}
        if not every:
            return {}
        with self._workspace.store.read() as connection:
            current = insights.current_ids(connection, every)
            current -= predictions.done_by(connection, userid, every, HIDING).keys()
            done = follow_ups.in_courses(connection, courses)
        now = self._workspace.clock()

        def concerns(data: Mapping[str, Any], prediction: Mapping[str, Any], since: int) -> bool:
            student = prediction.get("user") or {"id": 0}
            of_student = done.get((data["context"]["course"], student["id"]), [])
            later = [follow_up for follow_up in of_student if follow_up.timecreated >= since]
            return (
                prediction["id"] in current
                and standing_of(later, now).state is State.OPEN
                and self._sees(userid, data, prediction["sample"])
            )

        return {
            key: {prediction["id"] for prediction in data["predictions"] if concerns(data, prediction, written[key])}
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
