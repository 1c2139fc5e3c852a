"""What happens to a model: it is evaluated, trained, and predicts."""

from __future__ import annotations

from moodlemlbackend.analytics.lifecycle.evaluation import evaluate
from moodlemlbackend.analytics.lifecycle.prediction import predict
from moodlemlbackend.analytics.lifecycle.run_result import Analysed, Evaluated, RunResult
from moodlemlbackend.analytics.lifecycle.training import train

__all__ = ["Analysed", "Evaluated", "RunResult", "evaluate", "predict", "train"]
