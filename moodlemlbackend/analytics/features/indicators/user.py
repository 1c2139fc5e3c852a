"""Moodle's indicators of users (``\\core_user\\analytics\\indicator``)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from moodlemlbackend.analytics.features.analysable_samples import AnalysableSamples
from moodlemlbackend.analytics.features.indicators.indicator import Indicator, Kind, Values, yes_or_no
from moodlemlbackend.analytics.features.ranges import Ranges
from moodlemlbackend.analytics.site.site import Site
from moodlemlbackend.analytics.site.users import user_profiles, users_with_preference

SMALL_FIELDS = ("institution", "department", "address", "city", "country")
SMALL_FIELD_WEIGHT = 0.2


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
    policy = site.config.get("sitepolicy", "") != "" and site.config.get("sitepolicyhandler", "") == ""
    forced = users_with_preference(site, users, "auth_forcepasswordchange", "1")
    by_user = {}
    for row in user_profiles(site, users, _fields(site)):
        pending = policy and not row.policy_agreed
        if not site.is_37:
            pending = pending or row.id in forced or not row.named
        by_user[row.id] = Profile(
            bool(row.confirmed), pending, bool(row.tracks_forums), bool(row.described), bool(row.pictured),
            sum(row.filled),
        )  # fmt: skip
    return by_user


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
