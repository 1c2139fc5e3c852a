"""Users, and what predictions are about as people know it: a student in a course, a course, a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from moodlemlbackend.analytics.site.enrolments import NOT_OVER
from moodlemlbackend.analytics.site.zones import SITES_ZONE, zone_named

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence
    from datetime import tzinfo

    from moodlemlbackend.analytics.site.site import Site

_AT_ONCE = 5000

ENROLMENTS = "user_enrolments"
"""Table of the samples that are students in a course."""

_PERSON = "u.id, u.firstname, u.lastname, u.email"
_COURSE = "c.id, c.fullname, c.shortname"
_ADDRESSED = "SELECT id, firstname, lastname, email, emailstop FROM {user} WHERE id IN :ids"
_CAN_LOG_IN = "deleted = 0 AND suspended = 0 AND COALESCE(auth, '') <> 'nologin'"
_ACTIVE = f"confirmed = 1 AND {_CAN_LOG_IN}"
_WITH_NAME = "SELECT id, username, firstname, lastname FROM {user}"
_OF_ENROLMENTS = (
    "FROM {user_enrolments} r JOIN {enrol} e ON e.id = r.enrolid "
    "JOIN {user} u ON u.id = r.userid JOIN {course} c ON c.id = e.courseid WHERE r.id IN :ids"
)
_SAMPLES = {
    ENROLMENTS: ("r.id", f"{_PERSON}, {_COURSE}", _OF_ENROLMENTS),
    "course": ("c.id", f"0, '', '', '', {_COURSE}", "FROM {course} c WHERE c.id IN :ids"),
    "user": ("u.id", f"{_PERSON}, 0, '', ''", "FROM {user} u WHERE u.id IN :ids"),
}


class Named(NamedTuple):
    """A user as messages address them."""

    id: int
    first_name: str
    full_name: str
    email: str


class UserProfile(NamedTuple):
    """A user's names and address; ``wants_email`` tells whether Moodle may send e-mail there."""

    id: int
    first_name: str
    last_name: str
    email: str
    wants_email: bool


@dataclass(frozen=True)
class SampleInfo:
    """A sample: its table, the person and the course it is of; ids are 0 where there is none."""

    id: int
    origin: str
    userid: int
    first_name: str
    last_name: str
    email: str
    courseid: int
    course_name: str
    course_short: str

    @property
    def title(self) -> str:
        """The person's full name, or else the course's."""
        return f"{self.first_name} {self.last_name}".strip() or self.course_name


def describe(site: Site, origin: str, sampleids: Iterable[int]) -> dict[int, SampleInfo]:
    """Describe the samples that still exist, by id; none of a table that is not known."""
    samples: dict[int, SampleInfo] = {}
    if origin not in _SAMPLES:
        return samples
    for row in _rows(site, "SELECT {}, {} {}".format(*_SAMPLES[origin]), sampleids):
        key, userid, first, last, email, courseid, course, short = row
        samples[key] = SampleInfo(
            key, origin, userid, first or "", last or "", email or "", courseid, course or "", short or ""
        )
    return samples


def existing_samples(site: Site, origin: str, sampleids: Iterable[int]) -> set[int]:
    """Those of these samples that still exist, which :func:`describe` describes."""
    key, _, table = _SAMPLES[origin]
    return {sample for (sample,) in _rows(site, f"SELECT {key} {table}", sampleids)}


def existing_users(site: Site) -> frozenset[int]:
    """Ids of the users who are not deleted, the guest left out."""
    rows = site.database.rows("SELECT id FROM {user} WHERE deleted = 0 AND username <> 'guest'")
    return frozenset(user for (user,) in rows)


def enrolled_users(site: Site, courseid: int, now: int) -> frozenset[int]:
    """Ids of the users with an enrolment in a course that is in force now."""
    rows = site.database.rows(
        "SELECT DISTINCT u.userid FROM {user_enrolments} u JOIN {enrol} e ON e.id = u.enrolid "
        f"WHERE e.courseid = :course AND u.timestart <= :now AND {NOT_OVER}",
        course=courseid,
        now=now,
    )
    return frozenset(user for (user,) in rows)


def named_users(site: Site, userids: Collection[int]) -> dict[int, Named]:
    """Those of these users who can log in, by id; without the address of those who want no e-mail."""
    return {
        user: Named(user, first or "", f"{first or ''} {last or ''}".strip(), "" if stopped else email or "")
        for user, first, last, email, stopped in _rows(site, f"{_ADDRESSED} AND {_CAN_LOG_IN}", userids)
    }


def profiles(site: Site, userids: Iterable[int]) -> list[UserProfile]:
    """Those of these users who can log in."""
    return [
        UserProfile(user, first or "", last or "", email or "", not stopped)
        for user, first, last, email, stopped in _rows(site, f"{_ADDRESSED} AND {_CAN_LOG_IN}", userids)
    ]


def languages(site: Site, userids: Iterable[int]) -> dict[int, str]:
    """The language of each of these users; the site's for those who have none or are not there."""
    wanted = set(userids)
    by_user = dict.fromkeys(wanted, site.language)
    for user, language in _rows(site, "SELECT id, lang FROM {user} WHERE id IN :ids", wanted):
        by_user[user] = language or site.language
    return by_user


def time_zones(site: Site, userids: Iterable[int]) -> dict[int, tzinfo]:
    """The time zone of each of these users; the site's for those who chose none, or one that is unknown here.

    A zone that the site forces on everybody counts for all.
    """
    name = site.config.get("forcetimezone", "")
    forced = None if name in ("", SITES_ZONE) else zone_named(name)
    if forced is not None:
        return dict.fromkeys(userids, forced)
    wanted = set(userids)
    by_user = dict.fromkeys(wanted, site.zone)
    for user, name in _rows(site, "SELECT id, timezone FROM {user} WHERE id IN :ids", wanted):
        if str(name or SITES_ZONE) != SITES_ZONE:
            by_user[user] = zone_named(str(name)) or site.zone
    return by_user


def user_named(site: Site, username: str) -> Named | None:
    """The user of this very name who can log in; None when there is none, or several."""
    rows = site.database.rows(f"{_WITH_NAME} WHERE username = :user AND {_ACTIVE}", user=username)
    return _only(site, [row for row in rows if row[1] == username])  # databases may compare without case


def user_with_id(site: Site, userid: int) -> Named | None:
    """The user of this id who can log in; None when there is none."""
    return _only(site, [*site.database.rows(f"{_WITH_NAME} WHERE id = :user AND {_ACTIVE}", user=userid)])


def _only(site: Site, rows: Sequence[Sequence[Any]]) -> Named | None:
    users = [row for row in rows if row[0] != site.guest]
    if len(users) != 1:
        return None
    [(userid, username, first, last)] = users
    return Named(userid, first or "", f"{first or ''} {last or ''}".strip() or username, "")


def module_ids(site: Site, courseids: Iterable[int]) -> dict[tuple[str, int], int]:
    """Course module by name of the module and instance, of the activities in courses."""
    rows = site.database.rows(
        "SELECT n.name, m.instance, m.id FROM {course_modules} m JOIN {modules} n ON n.id = m.module "
        "WHERE m.course IN :courses",
        courses=sorted(set(courseids)) or [-1],
    )
    return {(module, instance): key for module, instance, key in rows}


def _rows(site: Site, query: str, ids: Iterable[int]) -> Iterator[Sequence[Any]]:
    every = sorted(set(ids))
    for start in range(0, len(every), _AT_ONCE):
        yield from site.database.rows(query, ids=every[start : start + _AT_ONCE])
