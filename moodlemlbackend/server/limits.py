"""How much a request may bring; what an admin may want to change is in :class:`..settings.server.Limits`.

An upload passes three gates: bytes while it is received (:mod:`.api.uploads`), the shape of a data set while it is read
or the entries of an archive before they are (here and :mod:`.storage.archives`), and what the backend itself refuses.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from moodlemlbackend.errors import DataSetError, RequestError
from moodlemlbackend.storage.archives import MIB, size

if TYPE_CHECKING:
    from pathlib import Path

    from moodlemlbackend.settings.server import Limits

FIELDS = 16
"""Parts of a form."""
FIELD_BYTES = 1024
"""Value of a field that is no file."""
PART_HEADERS = 8
PART_HEADER_BYTES = 2048
"""Headers of one part of a form: how many, and each."""
IDLE_SECONDS = 60.0
"""Without a byte of an upload."""
UPLOAD_BYTES_A_SECOND = 4096
"""That an upload has to bring after its first minute."""

HEADER_ROW_BYTES = 16 * MIB
"""One of the three header rows of a data set."""

INLINE_BYTES = MIB
"""An answer up to this size is kept in memory, a larger one in a file."""

FAILED_LOGIN_SECONDS = 1.0
"""Delay of a client's first failed login; each further one doubles it."""
LONGEST_DELAY_SECONDS = 16.0
FORGET_FAILURES_SECONDS = 900.0
CLIENTS_REMEMBERED = 10_000
FAILED_LOGINS_AT_ONCE = 8
"""Delayed answers a client's user; with more, logins are looked at one by one."""
KNOWN_LOGIN_SECONDS = 0.05
"""Between two of these of a user who has been here; of others, :data:`FAILED_LOGIN_SECONDS`."""
LOGINS_CHECKED_AT_ONCE = 64
"""Different credentials whose scrypt is being computed or waits for it; those once found right need none."""
PASSWORD_CHARACTERS = 1024
USER_CHARACTERS = 64
"""By which failed logins are told apart."""

TRAINING_NICE = 5
"""Added to the niceness of a worker that trains, so that short work goes first."""
MODELS_LOADED = 16
"""Models that a worker for predictions keeps mapped."""
JOBS_A_TRAINING_WORKER = 100
JOBS_A_PREDICTION_WORKER = 20_000
"""Jobs after which a worker is replaced by a fresh one, lest what libraries leak adds up."""
ABANDON_SECONDS = 2.0
"""How long a job whose client has gone may go on to its end."""
CONNECTIONS = 2000
"""Open at once."""
OTHER_FILES = 512
"""Open beside them."""
HEADERS_SECONDS = 10.0
"""For the headers of a request."""
RETRY_SECONDS = 30
"""What Retry-After says when there is too much to do."""

PAGE_MODELS = 500
PAGE_RUNS = 200
"""Entries that a page for people shows."""
PAGE_THREADS = 4
"""Threads that make pages of the Moodle site."""
PAGES_WAITING = 64
"""Requests that wait for one of these, or are with one."""
PAGE_INSIGHTS = 50
PAGE_STUDENTS = 50
PAGE_SECTIONS = 10
PAGE_ELEMENTS = 25
PAGE_NOTIFICATIONS = 50
PAGE_RECIPIENTS = 100
PAGE_COURSES = 50
"""Entries of a page: insights, invalid elements, notifications, recipients, and courses."""
PAGE_CONTEXTS = 20
"""Courses and categories that a search shows."""
FORM_BYTES = MIB // 4
FORM_FIELDS = 2048
"""A form of a page: its body, and its fields."""
FORM_SECONDS = 86_400
"""How long a form that was shown can be sent."""

SESSION_IDLE_SECONDS = 7200
"""Without a request, until a session ends."""
SESSION_SECONDS = 43_200
"""From the login until a session ends, however much it is used."""
SESSION_RENEWAL_SECONDS = 300
"""Between two cookies of a session that is used."""
COOKIE_CHARACTERS = 1024
ADDRESS_CHARACTERS = 2000
"""Of the page to which a login leads."""

_CHUNK = MIB


class DataSetCheck:
    """Holds a data set to the limits while it is read; what is no data set at all is for its reader to say.

    Attributes
    ----------
    refusal
        what the data set was refused with, RequestError of 413; None as long as it keeps to the limits.
    """

    def __init__(self, limits: Limits) -> None:
        self.refusal: RequestError | None = None
        self._limits = limits
        self._bytes = self._lines = 0
        self._header = b""

    @property
    def rows(self) -> int:
        """How many samples have been read."""
        return max(0, self._lines - 3)

    def watch(self, piece: bytes) -> None:
        """Look at the next piece of the text; RequestError (413) when there is too much of it."""
        try:
            self._check(piece)
        except RequestError as error:
            self.refusal = error
            raise

    def read(self, path: Path) -> None:
        """Look at a whole file, as :meth:`watch` does; what cannot be read is for the data set's reader to say."""
        from moodlemlbackend.dataset.csv_text import opened

        with suppress(DataSetError), opened(path, self.watch) as (_, stream):
            while stream.read(_CHUNK):
                pass

    def _check(self, piece: bytes) -> None:
        self._bytes += len(piece)
        if self._bytes > self._limits.uncompressed_bytes:
            raise RequestError(
                f"The data set has more than {size(self._limits.uncompressed_bytes)} when unpacked.", 413
            )
        if self._lines < 3:
            self._header = _check_header(self._header + piece, self._limits)
        self._lines += piece.count(b"\n")
        if self.rows > self._limits.rows:
            raise RequestError(f"The data set has more than {self._limits.rows} rows.", 413)


def _check_header(text: bytes, limits: Limits) -> bytes:
    """Check the first three rows as far as they are there; returns what is to be looked at again."""
    rows = text.split(b"\n", 3)[:3]
    for number, row in enumerate(rows, start=1):
        if len(row) > HEADER_ROW_BYTES:
            raise RequestError(f"Row {number} of the data set has no line break within {size(HEADER_ROW_BYTES)}.", 413)
        if row.count(b",") >= limits.columns + 1:
            raise RequestError(f"Row {number} of the data set has more than {limits.columns} columns.", 413)
    return text if len(text) <= 3 * HEADER_ROW_BYTES else b""


STUDENTS_AT_ONCE = 500
MESSAGES_AT_ONCE = 100
"""About how many students something is noted at once, and how many are written to."""
MESSAGE_CHARACTERS = 5000
SUBJECT_CHARACTERS = 200
"""Of a message to students, its subject, a note, and a template; its name is as long as a subject."""
TEMPLATES = 50
"""Of a person, a course, and the site, each."""
SNOOZE_DAYS = 366
"""At most."""
SENDERS = 2
"""Threads that send messages to students."""
SENDING_SECONDS = 8.0
"""How long an answer waits for messages to be sent; the others follow in the background."""

COURSE_CACHE_SECONDS = 180.0
"""How long pages keep what they have read from Moodle about a course."""
COURSES_CACHED = 256
"""Facts of courses that are kept."""
