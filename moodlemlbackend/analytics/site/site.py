"""What concerns a site as a whole: its version, settings, time zone, roles and list of courses."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from moodlemlbackend.analytics.site import modules  # noqa: F401  their tables join TABLES
from moodlemlbackend.analytics.site.connection import names_database
from moodlemlbackend.analytics.site.database import Database, Integers, SharedDatabase
from moodlemlbackend.analytics.site.log_stores import open_chosen, open_moodles
from moodlemlbackend.analytics.site.names import format_name
from moodlemlbackend.analytics.site.schema import LOG, TABLES, checked_prefix
from moodlemlbackend.analytics.site.zones import SITES_ZONE, zone_named
from moodlemlbackend.errors import SiteError, UsageError
from moodlemlbackend.files import is_folder

if TYPE_CHECKING:
    from moodlemlbackend.settings.analytics import AnalyticsSettings

CONTEXT_SYSTEM, CONTEXT_USER, CONTEXT_COURSE, CONTEXT_MODULE = 10, 30, 50, 70
"""Values of ``contextlevel``."""

OLDEST_WITH_42_RULES = 2019111800
"""Version number of Moodle 3.8, the first whose data differ from 3.7's where the specification says so."""

FIRST_EARLY_WEEKS = 2022112810
"""Version number of Moodle 4.1.10."""

CALENDAR_WEEKS = (
    (2022112810, 2022112900), (2023042407, 2023042500), (2023100904, 2023101000), (2024042200, float("inf")),
)  # fmt: skip
"""Version numbers, from and below, of the 4.1, 4.2 and 4.3 that add weeks on the calendar, and of all from 4.4 on."""

DEFAULT_PREFIX = "mdl_"

Part = TypeVar("Part")
Done = TypeVar("Done")

FARTHEST_DATE = 32_503_680_000
"""Of a course: the year 3000. What is beyond is a mistake, milliseconds for instance, and no calendar has it."""

_COURSES = (
    "SELECT c.id, c.shortname, c.fullname, c.format, c.startdate, c.enddate, c.visible, c.enablecompletion, "
    "x.id, x.path FROM {course} c JOIN {context} x ON x.contextlevel = 50 AND x.instanceid = c.id "
    "WHERE c.format <> 'site' ORDER BY c.sortorder, c.id"
)

_WITHOUT_CONTEXT = (
    "SELECT c.shortname FROM {course} c LEFT JOIN {context} x ON x.contextlevel = 50 AND x.instanceid = c.id "
    "WHERE c.format <> 'site' AND x.id IS NULL ORDER BY c.sortorder, c.id"
)


class CourseRow(NamedTuple):
    """A course as the list of courses gives it; dates are Unix times, 0 when not set."""

    id: int
    shortname: str
    fullname: str
    format: str
    start: int
    end: int
    visible: bool
    completion: bool
    context: int
    path: tuple[int, ...]
    """Ids of the contexts from the system down to the course's own."""


class SharedSite(NamedTuple):
    """A site as another thread or process opens it."""

    database: SharedDatabase
    name: str
    time_zone: str | None
    config: dict[str, str]
    courses: list[CourseRow]


class Site:
    """A Moodle site in one snapshot of its database.

    ``name`` is how messages call it: its URL without password, or its folder.
    """

    def __init__(self, database: Database, name: str, time_zone: str | None = None) -> None:
        self.database = database
        self.name = name
        self._time_zone = time_zone

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the snapshot, and let go of the courses: there may be 100,000, and a page leaves the site in cycles."""
        self.database.close()
        self.__dict__.pop("courses", None)

    def share(self) -> SharedSite:
        """What another thread or process needs to read the site at the same moment: see :meth:`Database.share`."""
        return SharedSite(self.database.share(), self.name, self._time_zone, self.config, self.courses)

    def whereabouts(self, *, local: bool) -> dict[str, Any]:
        """As JSON, what :meth:`reopen` needs on another machine, or in another process of this one if ``local``.

        The URL has the password.

        Raises
        ------
        UsageError
            There is nothing that another machine could open.
        """
        database = self.database
        if not local and (kept := next((part for part in (database, database.log) if part.temporary), None)):
            raise UsageError(
                f"{kept.shown} is a folder of tables, which is read into a file of this machine; use a database, or "
                "--cluster local:N for processes of this machine."
            )
        return {**database.share().as_json(), "name": self.name, "time_zone": self._time_zone}

    @classmethod
    def reopen(cls, where: Mapping[str, Any]) -> Site:
        """Open a site at the moment at which another process has it open."""
        database = Database.join(SharedDatabase.of_json(where))
        database.inspect(TABLES)
        return cls(database, where["name"], where["time_zone"])

    def side_by_side(self, work: Callable[[Site, Part], Done], parts: Iterable[Part], workers: int) -> Iterator[Done]:
        """Do the work on each part in threads, with a connection of its own to the same moment; yields in order."""
        from joblib import Parallel, delayed

        shared = self.share()

        def joined(part: Part) -> Done:
            with Site.join(shared) as site:
                return work(site, part)

        yield from Parallel(n_jobs=workers, prefer="threads", return_as="generator")(map(delayed(joined), parts))

    def at(self, moment: int) -> Site:
        """The site as it was at a Unix time: without what is dated later, see :meth:`Schema.at`.

        Settings, activities and roles have no date: they are those of today. Courses are visible, for one that is over
        may have been hidden since. It is open as long as this one is.
        """
        then = Site(self.database.at(moment), self.name, self._time_zone)
        then.config, then.courses = self.config, [course._replace(visible=True) for course in self.courses]
        return then

    @classmethod
    def join(cls, shared: SharedSite) -> Site:
        """Open a shared site again."""
        site = cls(Database.join(shared.database), shared.name, shared.time_zone)
        site.config, site.courses = shared.config, shared.courses
        return site

    @cached_property
    def config(self) -> dict[str, str]:
        """Site settings by name."""
        return {name: str(value or "") for name, value in self.database.rows("SELECT name, value FROM {config}")}

    @property
    def version(self) -> str:
        """Moodle's version number, such as ``2023042403``; ``0`` when the table of settings is missing."""
        number = self.config.get("version", "0").partition(".")[0]
        return number if number.isdecimal() else "0"

    @property
    def release(self) -> str:
        """Moodle's version as people say it, or an empty text."""
        return self.config.get("release", "")

    @property
    def is_37(self) -> bool:
        """Whether the site is older than Moodle 3.8, whose data mean something else in places."""
        return 0 < self._number < OLDEST_WITH_42_RULES

    @property
    def weeks_end_early(self) -> bool:
        """Whether an activity in the weeks format is due 7,200 seconds before the end of its week.

        Moodle takes them off from 3.8 on, but up to 4.1.9 adds them in another place, so that nothing is taken off
        there; nor in 3.7. A site whose version is not known counts as 4.2.
        """
        return self._number == 0 or self._number >= FIRST_EARLY_WEEKS

    @property
    def calendar_weeks(self) -> bool:
        """Whether weeks of the weeks format are added on the calendar, where they may have an hour more or less.

        Seen in 4.1.10, 4.4 and 4.5, and not in 4.2.3. The specification says nothing of 4.2.4 to 4.3: they count as
        4.2.3 does, up to the releases of the day of 4.1.10 (4.2.7, 4.3.4), to which such a change is carried as well.
        """
        return any(first <= self._number < end for first, end in CALENDAR_WEEKS)

    @property
    def _number(self) -> int:
        return int(self.version)

    @cached_property
    def zone(self) -> datetime.tzinfo:
        """Time zone of the site; that of ``open_site`` first, then its setting, UTC when neither says."""
        name = self._time_zone or self.config.get("timezone", "")
        if name in ("", SITES_ZONE):
            return datetime.timezone.utc
        zone = zone_named(name)
        if zone is None:
            raise UsageError(
                f"The site's time zone {name[:40]!r} is unknown here; give another with --time-zone, such as "
                "Europe/Madrid, or install the package tzdata."
            )
        return zone

    @cached_property
    def courses(self) -> list[CourseRow]:
        """Every course but the front page, hidden ones included, in Moodle's order."""
        return [
            CourseRow(
                course, str(short), str(full or ""), kind, _date(start), _date(end), bool(visible), bool(completion),
                context, tuple(int(part) for part in str(path or context).split("/") if part.isdecimal()),
            )
            for course, short, full, kind, start, end, visible, completion, context, path in (
                self.database.rows(_COURSES)
            )
        ]  # fmt: skip

    @cached_property
    def courses_without_context(self) -> list[str]:
        """Short names of the courses that nothing can be said of: they have no row in the table of contexts."""
        return [format_name(str(name), self.language) for (name,) in self.database.rows(_WITHOUT_CONTEXT)]

    @cached_property
    def analytics_enabled(self) -> bool:
        """Whether analytics is switched on for the site."""
        return self.config.get("enableanalytics", "1") not in ("", "0")

    @cached_property
    def completion_enabled(self) -> bool:
        """Whether completion tracking is switched on for the site."""
        return self.config.get("enablecompletion", "1") not in ("", "0")

    @cached_property
    def competencies_enabled(self) -> bool:
        """Whether competencies are switched on for the site."""
        rows = self.database.rows(
            "SELECT value FROM {config_plugins} WHERE plugin = 'core_competency' AND name = 'enabled'"
        )
        return not rows or rows[0][0] not in ("", "0", None)

    @cached_property
    def administrators(self) -> list[int]:
        """User ids of the site's administrators."""
        return [int(part) for part in self.config.get("siteadmins", "").split(",") if part.strip().isdecimal()]

    @cached_property
    def language(self) -> str:
        """The language in which names are shown: the site's; whoever opens it for a reader sets the reader's."""
        return self.config.get("lang", "") or "en"

    @cached_property
    def guest(self) -> int:
        """User id of the guest; 0 when not known."""
        setting = self.config.get("siteguest", "")
        return int(setting) if setting.isdecimal() else 0

    @cached_property
    def system_context(self) -> int:
        """Id of the system context."""
        rows = self.database.rows("SELECT id FROM {context} WHERE contextlevel = 10")
        return int(rows[0][0]) if rows else 1

    @cached_property
    def modules(self) -> frozenset[str]:
        """Names of the types of activities that are installed."""
        return frozenset(str(name) for (name,) in self.database.rows("SELECT name FROM {modules}"))

    def roles(self, *archetypes: str) -> Integers:
        """Ids of the roles of these archetypes."""
        return np.array([role for role, archetype in self._roles if archetype in archetypes], np.int64)

    @cached_property
    def _roles(self) -> list[tuple[int, str]]:
        return [(role, archetype) for role, archetype in self.database.rows("SELECT id, archetype FROM {role}")]


def open_site(
    location: str | os.PathLike[str],
    *,
    prefix: str = DEFAULT_PREFIX,
    time_zone: str | None = None,
    log_store: str = "",
) -> Site:
    """Open a site: a database by its SQLAlchemy URL, or a folder of tables as Parquet or CSV files (plain or gzip).

    What is unusual about CSV files follows the folder: ``tables/?delimiter=%3B&encoding=cp1252&null=-``.

    ``prefix`` is that of the tables' names, ``time_zone`` overrides the site's setting. ``log_store`` is where the log
    is, see :func:`.log_stores.open_chosen`; by default where Moodle has it. Nothing is ever written. Raises
    :class:`SiteError` when the site cannot be reached or read, or lacks a table that every Moodle has,
    :class:`UsageError` for arguments that cannot be used.
    """
    prefix = checked_prefix(prefix)
    text = os.fspath(location)
    if names_database(text):
        database = Database(text, prefix)
    elif "://" in text or is_folder(text) or is_folder(text.partition("?")[0]):
        from moodlemlbackend.analytics.site.folder import FolderDatabase

        database = FolderDatabase.of_site(text, prefix)
    else:
        database = Database(f"sqlite:///{text}", prefix)
    if log_store:
        database.open_log = lambda site: open_chosen(log_store, site.prefix)
    elif not database.temporary:
        database.open_log = open_moodles
    try:
        database.inspect(TABLES)
        if not database.schema.has("course") and (schemas := database.schemas("course")):
            raise SiteError(
                f"The table {prefix}course is in the schema {' and '.join(schemas)}, which is not on this user's "
                f"search path: add ?options=-csearch_path%3D{schemas[0]} to the URL of the site, or set the user's "
                "search_path."
            )
        database.schema.fill("{course}")
        site = Site(database, database.shown, time_zone)
        if missing := _missing(database, ()) or _missing(database, site.modules):
            raise SiteError(
                f"The site cannot be analysed: {', '.join(missing)} cannot be read, although every Moodle site of this "
                f"version has them; copy the missing tables, or grant the site's user SELECT on them."
            )
    except BaseException:
        database.close()
        raise
    return site


def open_configured(settings: AnalyticsSettings) -> Site:
    """Open the site that the settings name; errors as of :func:`open_site`."""
    return open_site(
        settings.site,
        prefix=settings.prefix,
        time_zone=settings.time_zone or None,
        log_store=settings.log_store,
    )


def _missing(database: Database, installed: Collection[str]) -> list[str]:
    """As :meth:`Schema.missing`; the table of the log need not be there if the log is elsewhere."""
    missing = database.schema.missing(installed)
    log = database.schema.named(LOG)
    return [name for name in missing if name != log or database.log is database]


def _date(time: int | None) -> int:
    return max(min(time or 0, FARTHEST_DATE), -FARTHEST_DATE)
