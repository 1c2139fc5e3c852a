"""``moodlemlbackend models restore``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..session import Session
from .shared import model_facts


@make("restore", site=True, store=True, examples="moodlemlbackend models restore")
def command(session: Session) -> Answer:
    """Create the core models that are missing or whose indicators have changed.

    If you name a site, indicators of activities that it does not have are left out.
    """
    from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models
    from moodlemlbackend.analytics.lifecycle.packages import remember_components

    if session.settings.site:
        remember_components(session.workspace, session.site)
    made = restore_core_models(session.workspace)
    lines = [f"Model {model.id} is created: {model.name}." for model in made] or ["All core models exist already."]
    return Answer({"models": [model_facts(model) for model in made]}, "\n".join(lines))
