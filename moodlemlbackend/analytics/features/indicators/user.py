"""Moodle's indicators of users (``\\core_user\\analytics\\indicator``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.indicators.indicator import Indicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.site import Site

SMALL_FIELDS = ("institution", "department", "address", "city", "country")
SMALL_FIELD_WEIGHT = 0.2

USERS_A_QUERY = 5000


class Profile(NamedTuple):
    """What a user's profile says; ``pending`` is whether Moodle asks the user to do something about it first."""

    confirmed: bool
    pending: bool
    tracks_forums: bool
    described: bool
    pictured: bool
    filled: int


_NOBODY = Profile(confirmed=False, pending=False, tracks_forums=False, described=False, pictured=False, filled=0)


def profiles(site: Site, users: Sequence[int], now: int) -> dict[int, Profile]:  # noqa: ARG001
    """Profiles by user id."""
    wanted = list(users)
    found = {}
    policy = site.config.get("sitepolicy", "") != "" and site.config.get("sitepolicyhandler", "") == ""
    fields = ", ".join(f"CASE WHEN {name} <> '' THEN 1 ELSE 0 END" for name in _fields(site))
    for start in range(0, len(wanted), USERS_A_QUERY):
        part = wanted[start : start + USERS_A_QUERY]
        forced = {
            row[0]
            for row in site.database.rows(
                "SELECT userid FROM {user_preferences} WHERE userid IN :users AND name = 'auth_forcepasswordchange' "
                "AND value = '1'",
                users=part,
            )
        }
        rows = site.database.rows(
            "SELECT id, confirmed, policyagreed, trackforums, CASE WHEN description <> '' THEN 1 ELSE 0 END, "
            "CASE WHEN picture IS NULL THEN 0 ELSE 1 END, "
            "CASE WHEN firstname <> '' AND lastname <> '' AND email <> '' THEN 1 ELSE 0 END, "
            f"{fields} FROM {{user}} WHERE id IN :users",
            users=part,
        )
        for user, confirmed, agreed, tracks, described, pictured, named, *filled in rows:
            pending = policy and not agreed
            if not site.is_37:
                pending = pending or user in forced or not named
            found[user] = Profile(
                bool(confirmed), bool(pending), bool(tracks), bool(described), bool(pictured), sum(filled)
            )
    return found


def _fields(site: Site) -> tuple[str, ...]:
    return (*SMALL_FIELDS, "url") if site.is_37 else SMALL_FIELDS


def _of_users(samples: AnalysableSamples) -> list[Profile]:
    return samples.user_values(profiles, _NOBODY)


class UserProfileSet(Indicator):
    """How much of the user's profile is filled in."""

    id = r"\core_user\analytics\indicator\user_profile_set"
    requires = frozenset({"user"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """-1 for a user who is not confirmed or has something pending; else from the fields. Ranges do not matter."""
        values = np.array([_filled(profile) for profile in _of_users(samples)])
        return np.broadcast_to(values, (len(ranges), len(samples)))


def _filled(profile: Profile) -> float:
    if profile.pending or not profile.confirmed:
        return -1.0
    value = -1.0 + profile.described + profile.pictured
    for _ in range(profile.filled):
        value += SMALL_FIELD_WEIGHT
    return min(max(value, -1.0), 1.0)


class UserTrackForums(Indicator):
    """Whether the user has forums tracked."""

    id = r"\core_user\analytics\indicator\user_track_forums"
    kind = Kind.BINARY
    requires = frozenset({"user"})

    def calculate(self, samples: AnalysableSamples, ranges: Ranges) -> Values:
        """The same in every range."""
        values = yes_or_no([profile.tracks_forums for profile in _of_users(samples)])
        return np.broadcast_to(values, (len(ranges), len(samples)))
