"""An insight as JSON has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from moodlemlbackend.analytics.features.evidence import CourseEvidence
    from moodlemlbackend.analytics.insights.listing import Insight

_KEYS = (
    "id", "contextid", "sampleid", "rangeindex", "prediction", "label", "score", "probability", "probability_range",
    "created", "start", "end", "done",
)  # fmt: skip


def insight_facts(insight: Insight, evidence: CourseEvidence | None) -> dict[str, Any]:
    """All of an insight, with plain values; ``evidence`` is what the students of its course did."""
    from moodlemlbackend.analytics.insights.reasons import every_text, reasons_of

    texts = every_text(insight, evidence)
    return {
        **{key: getattr(insight, key) for key in _KEYS},
        "model": {"id": insight.model.id, "name": insight.model.name, "target": insight.model.target},
        "sample": vars(insight.sample) if insight.sample else None,
        "indicators": [vars(value) for value in insight.indicators],
        "plain_reasons": [vars(reason) for reason in reasons_of(insight, evidence)],
        "reasons": [{**vars(reason), "text": text} for reason, text in zip(insight.reasons, texts, strict=True)],
        "links": [{"name": action.name, "label": action.label, "url": action.url} for action in insight.links],
        "judgements": [{"name": action.name, "label": action.label} for action in insight.judgements],
    }
