"""What predictions are about, as people know it: a student in a course, a course, a person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from moodlemlbackend.analytics.site import Site

_AT_ONCE = 5000

_PERSON = "u.id, u.firstname, u.lastname, u.email"
_COURSE = "c.id, c.fullname, c.shortname"
_QUERIES = {
    "user_enrolments": (
        f"SELECT r.id, {_PERSON}, {_COURSE} FROM {{user_enrolments}} r JOIN {{enrol}} e ON e.id = r.enrolid "
        "JOIN {user} u ON u.id = r.userid JOIN {course} c ON c.id = e.courseid WHERE r.id IN :ids"
    ),
    "course": f"SELECT c.id, 0, '', '', '', {_COURSE} FROM {{course}} c WHERE c.id IN :ids",
    "user": f"SELECT u.id, {_PERSON}, 0, '', '' FROM {{user}} u WHERE u.id IN :ids",
}


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
    query = _QUERIES.get(origin)
    ids = sorted(set(sampleids))
    if query is None:
        return {}
    found: dict[int, SampleInfo] = {}
    for start in range(0, len(ids), _AT_ONCE):
        rows: list[tuple[Any, ...]] = site.database.rows(query, ids=ids[start : start + _AT_ONCE])
        for key, userid, first, last, email, courseid, course, short in rows:
            found[key] = SampleInfo(
                key, origin, userid, first or "", last or "", email or "", courseid, course or "", short or ""
            )
    return found
