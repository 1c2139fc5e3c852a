"""What on a site a model cannot use, neither to learn from nor to predict, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.features import answers, definitions, registry
from moodlemlbackend.analytics.features.refusal import decisive

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.analytics.features.refusal import Refusal
    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site


@dataclass(frozen=True)
class Invalid:
    """An analysable that a model cannot use; ``training`` is None of a static model, which learns nothing."""

    id: int
    name: str
    training: Refusal | None
    prediction: Refusal

    @property
    def reasons(self) -> list[str]:
        """Why not, in sentences: for training, then for prediction if that is another one."""
        sentences = [refusal.sentence for refusal in (self.training, self.prediction) if refusal]
        return [*dict.fromkeys(sentences)]

    @property
    def advice(self) -> str:
        """What to do about it."""
        return decisive(self.training, self.prediction).what_to_do


def invalid_elements(site: Site, model: AnalyticsModel, now: int) -> Iterator[Invalid]:
    """Yield what the model's target refuses for training and for prediction."""
    target, analyser = registry.get_target(model.target), definitions.analyser(model.target)
    indicators = [registry.get_indicator(indicator) for indicator in model.indicators]
    for part in analyser.batches(analyser.rows(site, model.contexts or ())):
        for analysable in analyser.open(site, part, now, ()):
            reason = answers.refusal_of(indicators, analysable)
            training = None if target.static else answers.refusal(target, analysable, training=True) or reason
            prediction = answers.refusal(target, analysable, training=False) or reason
            if prediction and (target.static or training):
                yield Invalid(int(analysable.id), analysable.name, training, prediction)
