"""Templates of messages to students: a person's own, a course's, and the site's."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, or_, select, update

from moodlemlbackend.analytics.db.schema import TEMPLATES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection


OWNERS = OWN, COURSE, SITE = "own", "course", "site"
"""Whose a template is."""


@dataclass(frozen=True)
class Template:
    """A template: of a person (``userid``), of a course (``courseid``), or, with neither, of the site."""

    id: int
    courseid: int | None
    userid: int | None
    name: str
    subject: str
    text: str

    @property
    def digest(self) -> str:
        """Of what can be changed."""
        return sha256("\0".join((self.name, self.subject, self.text)).encode()).hexdigest()

    @property
    def owner(self) -> str:
        """One of :data:`OWNERS`."""
        return OWN if self.userid is not None else COURSE if self.courseid is not None else SITE


_COLUMNS = tuple(TEMPLATES.c[name] for name in ("id", "courseid", "userid", "name", "subject", "text"))


def listed(connection: Connection, courseid: int, userid: int) -> list[Template]:
    """The templates that a teacher has in a course: own ones first, then the course's and the site's, by name."""
    own = TEMPLATES.c.userid == userid
    of_course = and_(TEMPLATES.c.userid.is_(None), TEMPLATES.c.courseid == courseid)
    of_site = and_(TEMPLATES.c.userid.is_(None), TEMPLATES.c.courseid.is_(None))
    found = [Template(*row) for row in connection.execute(select(*_COLUMNS).where(or_(own, of_course, of_site)))]
    return sorted(found, key=lambda row: (row.userid is None, row.courseid is None, row.name.lower(), row.id))


def number(connection: Connection, *, courseid: int | None, userid: int | None) -> int:
    """How many templates a person, a course or the site has."""
    query = select(func.count()).select_from(TEMPLATES)
    query = query.where(TEMPLATES.c.courseid.is_not_distinct_from(courseid))
    return int(connection.execute(query.where(TEMPLATES.c.userid.is_not_distinct_from(userid))).scalar() or 0)


def insert(
    connection: Connection,
    *,
    courseid: int | None,
    userid: int | None,
    name: str,
    subject: str,
    text: str,
    by: int,
    now: int,
) -> int:
    """Write a template; returns its id."""
    values = {
        "courseid": courseid, "userid": userid, "name": name, "subject": subject, "text": text, "timemodified": now,
        "usermodified": by,
    }  # fmt: skip
    key = connection.execute(TEMPLATES.insert().values(values)).inserted_primary_key
    return int(key[0]) if key else 0


def change(connection: Connection, seen: Template, *, name: str, subject: str, text: str, by: int, now: int) -> bool:
    """Give a template another name, subject and text; returns whether it was still as seen."""
    values = {"name": name, "subject": subject, "text": text, "timemodified": now, "usermodified": by}
    as_seen = [TEMPLATES.c[column] == getattr(seen, column) for column in ("id", "name", "subject", "text")]
    return connection.execute(update(TEMPLATES).where(*as_seen).values(values)).rowcount > 0


def remove(connection: Connection, templateid: int) -> None:
    """Delete a template."""
    connection.execute(delete(TEMPLATES).where(TEMPLATES.c.id == templateid))


def owners(connection: Connection) -> tuple[set[int], set[int]]:
    """Ids of the courses and of the people that have templates."""
    courses = connection.execute(select(TEMPLATES.c.courseid).where(TEMPLATES.c.courseid.is_not(None)).distinct())
    people = connection.execute(select(TEMPLATES.c.userid).where(TEMPLATES.c.userid.is_not(None)).distinct())
    return set(courses.scalars()), set(people.scalars())


def forget(connection: Connection, *, courseids: Sequence[int] = (), userids: Sequence[int] = ()) -> int:
    """Delete the templates of courses and of people; returns how many."""
    concerned = or_(TEMPLATES.c.courseid.in_(courseids), TEMPLATES.c.userid.in_(userids))
    return connection.execute(delete(TEMPLATES).where(concerned)).rowcount
