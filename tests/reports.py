"""Records of runs as the tests of reports need them, made up quickly."""

from __future__ import annotations

from typing import Any

import numpy as np

from moodlemlbackend.processor.evaluation import Rating, verdict
from moodlemlbackend.report.record import EVALUATION, TRAINING, CurvePoint, Held, Importance, Record

HOSTILE = '<script>alert("x")</script> $x^2$ \\frac{a}{b} & \x00\x1b _'


def record(
    *,
    kind: str = EVALUATION,
    classes: tuple[str, ...] = ("0", "1"),
    splits: int = 10,
    rows: int = 400,
    skill: float = 2.0,
    distortion: float = 1.0,
    seed: int = 0,
    facts: dict[str, Any] | None = None,
    **about: Any,
) -> Record:
    """A run whose probabilities are true, unless log-odds are ``distortion`` times what they should be.

    ``skill`` is how far the classes lie apart.
    """
    random = np.random.default_rng(seed)
    k = len(classes)
    held = []
    for split in range(1 if kind == TRAINING else splits):
        labels = random.integers(k, size=rows)
        signal = skill * np.eye(k)[labels] + random.standard_normal((rows, k))
        logits = distortion * skill * signal
        chances = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances /= chances.sum(axis=1, keepdims=True)
        held.append(Held(labels, chances.astype(np.float32), np.ones(rows, np.float32), 0.5, f"rows-{seed}-{split}"))
    ratings = [Rating(one.labels, one.probabilities.astype(float), one.threshold) for one in held]
    result = {} if kind == TRAINING else verdict(ratings, minimum_score=0.7, accepted_deviation=0.05, score="mcc")[0]
    figures = ratings[0].figures()
    history = [{"loss": 1 / (1 + epoch), "held_out_loss": 1.1 / (1 + epoch)} for epoch in range(6)]
    found = {
        "rows": 5 * rows,
        "distinct_rows": 4 * rows,
        "classes": dict.fromkeys(classes, 5 * rows // k),
        "contradicted": 0.0,
        "columns": 10,
        "constant": 1,
        "repeated": 0,
        "indicators": 8,
        "empty": 0.1,
        "constant_names": ["always one"],
        "empty_names": [],
        "parts": {},
        "course_means": False,
        "alone": {},
        "digest": f"digest-{seed}",
        "training_rows": 4 * rows,
        "held_out_repeats": {"share": 0.0, "auc of the others": figures["auc"]},
        **(facts or {}),
    }
    described = {"model": "dropout", "data set": "data.csv", "run": 1, "time": "now", "score": "mcc", "seed": seed}
    importances = [
        Importance(name, label, tuple(random.normal(size, 0.01, splits)))
        for name, label, size in (("a", "forum: cognitive depth", 0.2), ("b", HOSTILE, 0.1), ("c", "any write", 0.05))
    ]
    return Record(
        kind,
        {**described, "target": r"\core_course\analytics\target\course_dropout", **about},
        found,
        result,
        classes,
        held,
        [history] * len(held),
        [] if kind == TRAINING else importances,
        [] if kind == TRAINING else [CurvePoint(0, n, figures) for n in (rows // 2, rows, 2 * rows)],
    )
