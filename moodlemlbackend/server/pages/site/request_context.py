"""Who asks, and the store and the site opened for one request, in one of a few threads."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from moodlemlbackend.analytics.insights.capabilities import MANAGE_MODELS, Capabilities
from moodlemlbackend.analytics.lifecycle.opening import open_workspace
from moodlemlbackend.analytics.site import open_configured
from moodlemlbackend.analytics.site.people import describe, languages, user_named, user_with_id
from moodlemlbackend.errors import BackendError, BusyError, NotTrainedError, RequestError, UsageError
from moodlemlbackend.language import choose, current, language_of
from moodlemlbackend.server import limits
from moodlemlbackend.server.auth.registrations import launched
from moodlemlbackend.server.hidden_paths import HiddenPaths
from moodlemlbackend.server.jobs.message_sender import MessageSender
from moodlemlbackend.server.jobs.page_runs import PageRuns
from moodlemlbackend.server.pages.site.course_cache import CourseCache
from moodlemlbackend.server.texts import say

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace
    from moodlemlbackend.settings.analytics import AnalyticsSettings
    from moodlemlbackend.settings.server import ServerSettings

T = TypeVar("T")

log = logging.getLogger("moodlemlbackend.server")


@dataclass(frozen=True)
class Person:
    """A user of the Moodle site."""

    id: int
    name: str


@dataclass(frozen=True)
class RequestContext:
    """One request of a person; the workspace acts as the person.

    Attributes
    ----------
    user
        the name at this server's login.
    manages
        whether the person may manage models.
    """

    user: str
    person: Person
    workspace: Workspace
    site: Site
    capabilities: Capabilities
    manages: bool
    runs: PageRuns
    hidden_paths: HiddenPaths
    cache: CourseCache
    sender: MessageSender

    def names(self, userids: Collection[int]) -> dict[int, str]:
        """What users are called, by id; those who are gone by their number."""
        described = describe(self.site, "user", userids)
        return {user: described[user].title if user in described else say("person", id=user) for user in userids}

    def require_manager(self) -> None:
        """Raise RequestError of 403 unless the person may manage models."""
        if not self.manages:
            raise RequestError(say("no manager"), 403)


class RequestContexts:
    """Has pages of the site made; one for the server."""

    def __init__(self, server: ServerSettings, settings: AnalyticsSettings, is_person: Callable[[str], bool]) -> None:
        self.settings = settings
        self._cache = CourseCache()
        self._sender = MessageSender()
        self.runs = PageRuns(server.training_workers, server.time_limit)
        self._people_only, self._is_person = server.namespaces, is_person
        self._threads = ThreadPoolExecutor(limits.PAGE_THREADS, "page")
        self._inside = 0
        self._opening = threading.Lock()
        self._workspace: Workspace | None = None

    async def ask(self, user: str, make: Callable[[RequestContext], T]) -> T:
        """Have a function called with the request context of a user, in a thread.

        Raises
        ------
        RequestError
            403 for a user whom the site does not know; 503 when there is too much to do, or the store or the site is
            out of reach; what the function raises, as the sentence that it is.
        """
        if self._inside >= limits.PAGES_WAITING:
            raise RequestError(say("too much"), 503, retry_after=limits.RETRY_SECONDS)
        self._inside += 1
        context = copy_context()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, self._ask, user, make)
        finally:
            self._inside -= 1
            choose(context.run(current))  # a refusal is written in the language of the person, too

    async def close(self) -> None:
        """End what runs, and let go of the store."""
        self._sender.close()
        await self.runs.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._workspace is not None:
            self._workspace.store.close()

    def _ask(self, user: str, make: Callable[[RequestContext], T]) -> T:
        try:
            with self._open_context(user) as ctx:
                return make(ctx)
        except RequestError:
            raise
        except (BusyError, NotTrainedError) as error:
            raise RequestError(str(error), 409) from error
        except UsageError as error:
            raise RequestError(str(error), 400) from error
        except BackendError as error:
            raise self._lost(error) from error

    @contextmanager
    def _open_context(self, user: str) -> Iterator[RequestContext]:
        if self._people_only and not self._is_person(user):
            raise RequestError(say("nobody"), 403)
        settings = self.settings
        try:
            workspace = self._open()
            site = open_configured(settings)
        except BackendError as error:
            raise self._lost(error) from error
        with site:
            person = _person(site, user)
            site.language = languages(site, [person.id])[person.id]
            choose(language_of(site.language))
            capabilities = Capabilities(site, workspace.clock())
            manages = capabilities.may(person.id, MANAGE_MODELS, site.system_context)
            own = replace(workspace, userid=person.id)
            hidden_paths = HiddenPaths({str(workspace.folder): "analytics"})
            yield RequestContext(
                user, person, own, site, capabilities, manages, self.runs, hidden_paths, self._cache, self._sender
            )

    def _open(self) -> Workspace:
        """The store, opened once."""
        with self._opening:
            if self._workspace is None:
                self._workspace = open_workspace(self.settings)
            return self._workspace

    @staticmethod
    def _lost(error: BackendError) -> RequestError:
        log.error("The Moodle site or its store cannot be used", extra={"fault": type(error).__name__})
        return RequestError(say("site lost"), 503, retry_after=limits.RETRY_SECONDS)


def _person(site: Site, user: str) -> Person:
    """The Moodle user of this very name, who can log in there; RequestError of 403 when there is none, or several.

    Who came by a launch has the id in the name.
    """
    came = launched(user)
    named = user_with_id(site, came[1]) if came else user_named(site, user)
    if named is None:
        raise RequestError(say("nobody launched") if came else say("nobody"), 403)
    return Person(named.id, named.full_name)
