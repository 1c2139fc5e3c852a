"""The components of a site and their versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodlemlbackend.analytics.site.site import Site


def plugin_versions(site: Site) -> dict[str, str]:
    """Version of each plugin, as the site has it, by component."""
    rows = site.database.rows("SELECT plugin, value FROM {config_plugins} WHERE name = 'version'")
    return {plugin: str(value) for plugin, value in rows}
