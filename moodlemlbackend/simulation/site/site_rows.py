"""Rows that a site has once: configuration, roles, categories, users, and the frame of its contexts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from moodlemlbackend.simulation.site.plan import ADMIN, FIRST, GUEST, MANAGER, SitePlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.simulation.site.loader import Loader
    from moodlemlbackend.simulation.site.plan import Integers

SYSTEM_LEVEL, USER_LEVEL, CATEGORY_LEVEL, COURSE_LEVEL, MODULE_LEVEL = 10, 30, 40, 50, 70
SYSTEM = 1  # context id
SITE_COURSE = 1
COMPETENCIES = 6

_ARCHETYPES = ("manager", "coursecreator", "editingteacher", "teacher", "student", "guest", "user", "frontpage")
ROLES = {name: number for number, name in enumerate(_ARCHETYPES, start=1)}
"""Role id by short name, which is the archetype too."""

_CAPABILITIES = {
    "moodle/analytics:listinsights": (50, ("teacher", "editingteacher", "manager")),
    "moodle/analytics:listowninsights": (10, ("user",)),
    "moodle/analytics:managemodels": (10, ("manager",)),
    "moodle/competency:coursecompetencyview": (50, ("user",)),
    "moodle/course:view": (50, ("manager",)),
    "moodle/course:viewhiddencourses": (50, ("teacher", "editingteacher", "manager", "coursecreator")),
    "moodle/course:viewparticipants": (50, ("student", "teacher", "editingteacher", "manager")),
    "moodle/grade:viewall": (50, ("teacher", "editingteacher", "manager")),
    "moodle/site:accessallgroups": (50, ("editingteacher", "manager")),
    "moodle/site:viewparticipants": (10, ("manager",)),
    "moodle/site:viewuseridentity": (50, ("teacher", "editingteacher", "manager")),
    "report/outline:view": (50, ("teacher", "editingteacher", "manager")),
}  # the level of contexts that each is for, and the roles that have it
_LEVELS = {
    "manager": (10, 40, 50),
    "coursecreator": (10, 40),
    "editingteacher": (50, 70),
    "teacher": (50, 70),
    "student": (50, 70),
}
_VERSIONS = {
    "3.7": ("2019052002", "3.7.2 (Build: 20190909)", "37"),
    "4.2": ("2023042403", "4.2.3 (Build: 20231009)", "402"),
    "5.0": ("2025041400", "5.0 (Build: 20250414)", "500"),
}
_CONFIG = {
    "enableanalytics": "1",
    "enablecompletion": "1",
    "enableavailability": "1",
    "siteadmins": str(ADMIN),
    "siteguest": str(GUEST),
    "timezone": "UTC",
    "forcetimezone": "99",
    "lang": "en",
    "calendar_adminseesall": "0",
    "calendar_lookahead": "21",
    "calendar_maxevents": "10",
    "defaultuserroleid": str(ROLES["user"]),
    "notloggedinroleid": str(ROLES["guest"]),
    "guestroleid": str(ROLES["guest"]),
    "defaultfrontpageroleid": str(ROLES["frontpage"]),
    "gradebookroles": str(ROLES["student"]),
    "enrol_plugins_enabled": "manual,guest,self,cohort",
    "sitepolicy": "",
    "sitepolicyguest": "",
    "sitepolicyhandler": "",
}
_SPLITTINGS = ("quarters_accum", "quarters", "single_range")
_PLUGINS = {
    ("analytics", "predictionsprocessor"): r"\mlbackend_python\processor",
    ("analytics", "logstore"): "logstore_standard",
    ("analytics", "defaulttimesplittingsevaluation"): ",".join(
        rf"\core\analytics\time_splitting\{name}" for name in _SPLITTINGS
    ),
    ("analytics", "modeloutputdir"): "",
    ("analytics", "onlycli"): "1",
    ("analytics", "modeltimelimit"): "1200",
    ("analytics", "calclifetime"): "35",
    ("core_competency", "enabled"): "1",
    ("tool_log", "enabled_stores"): "logstore_standard",
    ("logstore_standard", "logguests"): "1",
    ("logstore_standard", "jsonformat"): "1",
    ("logstore_standard", "loglifetime"): "0",
}
NOW = ("local_simulator", "now")
"""Plugin and name of the setting that says at which Unix time the site was left."""

_FIRST_NAMES = (
    "Ada",
    "Ben",
    "Chloe",
    "Daniel",
    "Elif",
    "Farid",
    "Grace",
    "Hugo",
    "Ines",
    "Jan",
    "Kofi",
    "Lena",
    "Mateo",
)
_LAST_NAMES = ("Abe", "Bauer", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Haddad", "Ito", "Jansen", "Kaya")
_CITIES = np.array(["", "Lisbon", "Perth", "Graz", "Quito"], dtype=object)


@dataclass(frozen=True, eq=False)
class SiteIds:
    """Ids of what courses hang on: a category's id and context path by its number, and the kinds of activities."""

    categories: list[int]
    paths: list[str]
    kinds: Sequence[str]


def module_ids(kinds: Sequence[str]) -> dict[str, int]:
    """The id of each kind of activity in Moodle's list of modules."""
    return {name: number for number, name in enumerate(kinds, start=1)}


def add_site(loader: Loader, site: SitePlan, schema: str, seed: int, kinds: Sequence[str]) -> SiteIds:
    """Add all that does not depend on what happens in the courses."""
    _add_settings(loader, site, schema, seed, kinds)
    _add_roles(loader, site)
    _add_competencies(loader, site)
    loader.add(
        "course",
        1,
        {
            "sortorder": 1,
            "fullname": "Simulated site",
            "shortname": "simulated",
            "format": "site",
            "summary": "",
            "visible": 1,
            "visibleold": 1,
            "timecreated": int(site.created.min()),
        },
    )
    loader.ids("course", len(site.courses))  # those of the courses to come
    _add_frame(loader, ["/1"], SYSTEM_LEVEL, np.array([0]))
    _add_frame(loader, ["/1/2"], COURSE_LEVEL, np.array([SITE_COURSE]))
    ids = _add_categories(loader, site, kinds)
    users = FIRST - 1 + len(site.drive)
    first = int(loader.ids("context", users)[0])
    _add_frame(
        loader,
        [f"/1/{first + index}" for index in range(users)],
        USER_LEVEL,
        np.arange(1, users + 1),
        np.arange(first, first + users),
    )
    return ids


def _add_frame(loader: Loader, paths: list[str], level: int, instances: Integers, ids: Integers | None = None) -> None:
    """Add contexts whose paths end with their ids."""
    columns: dict[str, Any] = {
        "contextlevel": level,
        "instanceid": instances,
        "path": np.array(paths, dtype=object),
        "depth": np.array([path.count("/") for path in paths]),
    }
    loader.add("context", len(paths), columns if ids is None else {**columns, "id": ids})


def _add_settings(loader: Loader, site: SitePlan, schema: str, seed: int, kinds: Sequence[str]) -> None:
    version, release, branch = _VERSIONS[schema]
    config = _CONFIG | {"version": version, "release": release, "branch": branch}
    _add_pairs(loader, "config", {"name": list(config), "value": list(config.values())})
    plugins = _PLUGINS | {(f"mod_{name}", "version"): version for name in kinds}
    plugins |= {NOW: str(site.now), ("local_simulator", "seed"): str(seed)}
    names = [list(part) for part in zip(*plugins, strict=True)]
    _add_pairs(loader, "config_plugins", {"plugin": names[0], "name": names[1], "value": list(plugins.values())})
    _add_pairs(loader, "modules", {"name": list(kinds), "visible": [1] * len(kinds)})


def _add_pairs(loader: Loader, table: str, columns: Mapping[str, list[Any]]) -> None:
    number = len(next(iter(columns.values())))
    loader.add(
        table,
        number,
        {
            name: np.array(values, dtype=object if isinstance(values[0], str) else np.int64)
            for name, values in columns.items()
        },
    )


def _add_roles(loader: Loader, site: SitePlan) -> None:
    numbers = list(ROLES.values())
    _add_pairs(loader, "role", {"shortname": list(ROLES), "archetype": list(ROLES), "sortorder": numbers})
    _add_pairs(
        loader,
        "capabilities",
        {
            "name": list(_CAPABILITIES),
            "captype": ["write" if name.endswith("managemodels") else "read" for name in _CAPABILITIES],
            "contextlevel": [level for level, _ in _CAPABILITIES.values()],
            "component": ["report_outline" if name.startswith("report") else "moodle" for name in _CAPABILITIES],
        },
    )
    granted = [(ROLES[role], name) for name, (_, roles) in _CAPABILITIES.items() for role in roles]
    loader.add(
        "role_capabilities",
        len(granted),
        {
            "contextid": SYSTEM,
            "roleid": np.array([role for role, _ in granted]),
            "capability": np.array([name for _, name in granted], dtype=object),
            "permission": 1,
            "timemodified": int(site.created.min()),
        },
    )
    places = [(ROLES[role], level) for role, levels in _LEVELS.items() for level in levels]
    _add_pairs(
        loader,
        "role_context_levels",
        {"roleid": [id_[0] for id_ in places], "contextlevel": [id_[1] for id_ in places]},
    )
    loader.add(
        "role_assignments",
        1,
        {"roleid": ROLES["manager"], "contextid": SYSTEM, "userid": MANAGER, "modifierid": ADMIN},
    )


def _add_competencies(loader: Loader, site: SitePlan) -> None:
    """Add a framework of competencies, all on one scale."""
    made = {"timecreated": int(site.created.min()), "timemodified": int(site.created.min())}
    scale = {"name": "Competence", "scale": "Not yet competent,Competent", "description": "", "timemodified": 0}
    loader.add("scale", 1, scale)
    proficient = '[{"scaleid":"1"},{"id":2,"scaledefault":1,"proficient":1}]'
    frame = {"shortname": "Framework", "contextid": SYSTEM, "idnumber": "framework", "scaleid": 1, "visible": 1}
    loader.add("competency_framework", 1, {**frame, "scaleconfiguration": proficient, "usermodified": ADMIN, **made})
    numbers = np.arange(1, COMPETENCIES + 1)
    columns = {
        "shortname": np.array([f"Competency {number}" for number in numbers], dtype=object),
        "idnumber": np.array([f"competency{number}" for number in numbers], dtype=object),
        "descriptionformat": 1,
        "competencyframeworkid": 1,
        "path": "/0/",
        "sortorder": numbers,
        "usermodified": ADMIN,
    }
    loader.add("competency", COMPETENCIES, columns | made)


def _add_categories(loader: Loader, site: SitePlan, kinds: Sequence[str]) -> SiteIds:
    """Add categories, every third one inside the first, with a teacher's role for all of the second."""
    number = site.categories
    inside = [index > 0 and index % 3 == 0 for index in range(number)]
    ids, contexts = loader.ids("course_categories", number), loader.ids("context", number)
    own = [f"{ids[0]}/{id_}" if below else str(id_) for id_, below in zip(ids, inside, strict=True)]
    paths = [f"/1/{contexts[0]}/{id_}" if below else f"/1/{id_}" for id_, below in zip(contexts, inside, strict=True)]
    courses = np.bincount([course.category for course in site.courses], minlength=number)
    loader.add(
        "course_categories",
        number,
        {
            "id": ids,
            "name": np.array([f"Category {id_}" for id_ in ids], dtype=object),
            "descriptionformat": 1,
            "parent": np.where(inside, ids[0], 0),
            "sortorder": 10_000 * ids,
            "coursecount": courses,
            "visible": 1,
            "visibleold": 1,
            "timemodified": int(site.created.min()),
            "depth": 1 + np.array(inside),
            "path": np.array([f"/{path}" for path in own], dtype=object),
        },
    )
    _add_frame(loader, paths, CATEGORY_LEVEL, ids, contexts)
    if number > 1:
        loader.add(
            "role_assignments",
            1,
            {"roleid": ROLES["teacher"], "contextid": int(contexts[1]), "userid": FIRST, "modifierid": ADMIN},
        )
    return SiteIds(ids.tolist(), paths, kinds)


def add_users(loader: Loader, site: SitePlan, first_seen: Integers, last_seen: Integers) -> None:
    """Add guest, admin, manager, teachers and students, one of these deleted, one suspended and one not confirmed.

    ``first_seen`` and ``last_seen`` are (users + 1,) Unix times by user id, 0 for never.
    """
    number = len(site.drive)
    ids = np.arange(1, FIRST + number)
    names = ["guest", "admin", "manager"]
    names += [f"teacher{index}" for index in range(1, site.teachers + 1)]
    names += [f"student{index}" for index in range(1, number - site.teachers + 1)]
    created = np.concatenate([np.full(FIRST - 1, site.created.min()), site.created])
    opened = np.where(ids == ADMIN, int(site.created.min()), first_seen[ids])
    student = ids - FIRST - site.teachers
    last = number - site.teachers - 1
    loader.add(
        "user",
        len(ids),
        {
            "auth": "manual",
            "confirmed": 1 - ((student == last) & (last > 20)),
            "policyagreed": 1,
            "deleted": (student == last - 1) & (last > 20),
            "suspended": (student == last - 2) & (last > 20),
            "mnethostid": 1,
            "username": np.array(names, dtype=object),
            "firstname": _pick(_FIRST_NAMES, ids),
            "lastname": _pick(_LAST_NAMES, ids // 3),
            "email": np.array([f"{name}@example.org" for name in names], dtype=object),
            "city": _CITIES[ids % len(_CITIES)],
            "country": np.where(ids % 4 == 0, "", "PT").astype(object),
            "institution": np.where(ids % 3 == 0, "University", "").astype(object),
            "lang": "en",
            "timezone": "99",
            "firstaccess": opened,
            "lastaccess": last_seen[ids],
            "lastlogin": last_seen[ids],
            "currentlogin": last_seen[ids],
            "description": np.where(ids % 5 == 0, "Likes to learn.", "").astype(object),
            "descriptionformat": 1,
            "mailformat": 1,
            "maildisplay": 2,
            "autosubscribe": 1,
            "trackforums": ids % 2,
            "timecreated": created,
            "timemodified": created,
        },
    )
    loader.add("user_preferences", 1, {"userid": FIRST + number - 1, "name": "auth_forcepasswordchange", "value": "1"})


def _pick(names: Sequence[str], index: Integers) -> Any:
    return np.array(names, dtype=object)[index % len(names)]
