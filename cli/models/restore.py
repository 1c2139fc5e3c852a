"""``moodlemlbackend models restore``."""

from __future__ import annotations

from ..command import Answer
from ..command import command as make
from ..confirmation import confirm
from ..options import YES
from ..session import Session
from .shared import model_facts


@make("restore", YES, site=True, store=True, examples="moodlemlbackend models restore")
def command(session: Session, yes: bool) -> Answer:
    """Create the core models that are missing or whose indicators have changed.

    A model whose indicators have changed stays as it is: the command asks before it creates a new one beside it. If
    you specify a site, indicators of activities that the site does not have are left out.
    """
    from moodlemlbackend.analytics.lifecycle.core_models import restore_core_models, restored_next_to
    from moodlemlbackend.analytics.lifecycle.packages import remember_components

    if session.settings.site:
        remember_components(session.workspace, session.site)
    others = [f"model {model.id} ({model.name})" for model in restored_next_to(session.workspace)]
    confirm(f"This adds core models with the same target as {', '.join(others)}." if others else "", yes=yes)
    made = restore_core_models(session.workspace)
    lines = [f"Model {model.id} is created: {model.name}." for model in made] or ["All core models exist already."]
    return Answer({"models": [model_facts(model) for model in made]}, "\n".join(lines))
