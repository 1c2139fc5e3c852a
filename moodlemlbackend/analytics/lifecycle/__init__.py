"""What happens to a model: it is evaluated, trained, and predicts. Names are imported when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from moodlemlbackend.analytics.lifecycle.backtesting.run import Backtest, backtest
    from moodlemlbackend.analytics.lifecycle.evaluation import evaluate
    from moodlemlbackend.analytics.lifecycle.prediction import predict
    from moodlemlbackend.analytics.lifecycle.run_result import Analysed, Evaluated, RunResult
    from moodlemlbackend.analytics.lifecycle.training import train

__all__ = ["Analysed", "Backtest", "Evaluated", "RunResult", "backtest", "evaluate", "predict", "train"]

_HOMES = {
    "Backtest": "backtesting.run",
    "backtest": "backtesting.run",
    "evaluate": "evaluation",
    "predict": "prediction",
    "train": "training",
}

if not TYPE_CHECKING:  # or every name would be of type object

    def __getattr__(name):
        """Import a name from where it is at home."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'run_result')}"), name)
