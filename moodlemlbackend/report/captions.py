"""What figures and classes are called, and what figures show."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodlemlbackend.report.record import Record

TITLES = {
    "roc-curve": "ROC curve",
    "precision-recall": "Precision and recall",
    "score-distribution": "Probabilities by true class",
    "calibration": "Calibration",
    "confusion-matrix": "Confusion matrix",
    "importance": "Importance of indicators",
    "learning-curve": "Learning curve",
    "course-of-training": "Training progress",
}

CAPTIONS = {
    "roc-curve": "The share of the class that is found, and the share of false alarms. "
    "The closer the curve is to the upper left, the better.",
    "precision-recall": "The share of predictions that are right, and the share of the class that is found.",
    "score-distribution": "How well the classes are separated. Samples on the wrong side of the threshold are errors.",
    "calibration": "Whether a predicted 30% comes true in 30 of 100 cases, and how many samples have each probability.",
    "confusion-matrix": "Share of each true class, and number of held-out samples in a split.",
    "importance": "How much worse the model becomes without each indicator. Bars show one standard deviation.",
    "learning-curve": "Whether more samples would help. If the curve is still rising, they would.",
    "course-of-training": "If the held-out loss rises again, training went on for too long.",
}


def class_in_words(record: Record, name: str) -> str:
    """A class as a sentence names it: by its name in the data set, or by what it means."""
    return f"“{name}”" if "target in words" in record.about else f"class {name}"
