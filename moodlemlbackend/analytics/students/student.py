"""A student of a course, as teachers know one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.analytics.db.risks import Risk


@dataclass(frozen=True)
class Student:
    """A student of a course.

    Attributes
    ----------
    enrolments
        ids of all enrolments in the course, ascending: models predict the first, also where only another is active.
    email
        empty without an address.
    wants_email
        whether the student's profile lets Moodle send e-mail.
    """

    userid: int
    enrolments: tuple[int, ...]
    first_name: str
    last_name: str
    email: str
    wants_email: bool

    @property
    def name(self) -> str:
        """The full name."""
        return f"{self.first_name} {self.last_name}".strip() or f"#{self.userid}"

    def trend(self, risks: Mapping[int, Sequence[Risk]]) -> Sequence[Risk]:
        """The student's risks in the order of prediction, of those by enrolment.

        Of several enrolments it is the one that was predicted last, and at once with others the one at higher risk.
        """
        predicted = [risks[enrolment] for enrolment in self.enrolments if risks.get(enrolment)]
        return max(predicted, key=lambda trend: (trend[-1].created, trend[-1].probability), default=())

    @property
    def initials(self) -> str:
        """First letters of the names."""
        letters = [part.strip()[:1] for part in (self.first_name, self.last_name)]
        return "".join(letters).upper() or "?"
