"""What a command on models or a site works with: the settings, the store and the site, opened when they are needed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from moodlemlbackend.errors import UsageError
from moodlemlbackend.files import keep_private

if TYPE_CHECKING:
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace


class Session:
    """The settings, store and site of one command; ``settings`` are its options, None for one that was not given."""

    def __init__(self, now: int | None, user: int | None, **settings: str | None) -> None:
        from moodlemlbackend.settings.analytics import load_analytics_settings

        self.settings = load_analytics_settings(**settings)
        keep_private(self.settings.folder)
        self._now, self._user = now, user
        self._workspace: Workspace | None = None
        self._site: Site | None = None

    @property
    def workspace(self) -> Workspace:
        """The store and its folder."""
        if self._workspace is None:
            from moodlemlbackend.analytics.lifecycle.opening import open_workspace
            from moodlemlbackend.analytics.workspace import COMMAND_LINE

            userid = COMMAND_LINE if self._user is None else self._user
            self._workspace = open_workspace(self.settings, now=self._now, userid=userid)
        return self._workspace

    @property
    def site(self) -> Site:
        """The Moodle site; UsageError when none is named."""
        if self._site is None:
            from moodlemlbackend.analytics.site import open_configured
            from moodlemlbackend.settings.analytics import SETTINGS

            if not self.settings.site:
                raise UsageError(
                    f"Specify the Moodle site with --site, {SETTINGS['site'].variable} or the site setting: "
                    "a database URL, an SQLite file, or a folder of tables."
                )
            self._site = open_configured(self.settings)
        return self._site

    @property
    def now(self) -> int:
        """The present."""
        return int(time.time()) if self._now is None else self._now

    def modelid(self, name: str) -> int:
        """The id of the model that a person names."""
        from moodlemlbackend.analytics import models

        with self.workspace.store.read() as connection:
            return models.id_of(connection, name)

    def model(self, modelid: int) -> AnalyticsModel:
        """Read a model."""
        from moodlemlbackend.analytics import models

        with self.workspace.store.read() as connection:
            return models.get(connection, modelid)

    def close(self) -> None:
        """Let go of both."""
        if self._site is not None:
            self._site.close()
        if self._workspace is not None:
            self._workspace.store.close()
