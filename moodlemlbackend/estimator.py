"""The network as an estimator of scikit-learn, for cross-validation and comparison with other models."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import _check_sample_weight, check_is_fitted

from moodlemlbackend.dataset.courses import CoursesOfRows, known_courses
from moodlemlbackend.model.codes import code
from moodlemlbackend.model.fitting import fit
from moodlemlbackend.model.training import Options
from moodlemlbackend.processor.neural_network import NeuralNetwork, fitted_of
from moodlemlbackend.processor.training_rows import TrainingRows
from moodlemlbackend.runtime.environment import import_quietly

if TYPE_CHECKING:
    from typing_extensions import Self

    from moodlemlbackend.processor.explanation import Explanations

_SEEDS = 1_000_000_000


class MoodleClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """The network that the processor ``neural_network`` trains.

    Parameters
    ----------
    threshold:
        0.5 predicts the most probable class, as scikit-learn's classifiers do. ``"tuned"`` predicts as Moodle is told:
        class 1 of two from the probability on that parts the classes best, found on held-out training rows.
    hidden, epochs, shrinkage:
        units of each hidden layer, passes over the rows, precision of the prior of the linear part's weights; the
        defaults are what Moodle's models are trained with.
    random_state:
        int, RandomState or None. An int is the seed: the same as of :func:`moodlemlbackend.fit`.

    Attributes
    ----------
    classes_:
        (K,) the classes, sorted.
    model_:
        the trained model, as the rest of the package uses it.
    n_features_in_, feature_names_in_:
        as in every estimator.
    """

    def __init__(
        self,
        *,
        threshold: float | Literal["tuned"] = 0.5,
        hidden: int = 32,
        epochs: int = 6,
        shrinkage: float = 10.0,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.threshold = threshold
        self.hidden = hidden
        self.epochs = epochs
        self.shrinkage = shrinkage
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: Any = None, groups: Any = None) -> Self:
        """Train on (rows, columns) numbers, NaN for an empty cell, and (rows,) classes.

        A row of weight 2 counts as much as two rows, one of weight 0 as none. ``groups`` (rows,) are the courses, if
        known. ValueError for an input that cannot be used, or of fewer than two classes.
        """
        threshold: Any = self.threshold
        if threshold != "tuned" and not (isinstance(threshold, Real) and 0 < float(threshold) < 1):
            raise ValueError(f"threshold is {threshold!r}; it must be 'tuned' or a number between 0 and 1")
        for name, kind, least in (("hidden", Integral, 1), ("epochs", Integral, 1), ("shrinkage", Real, 0)):
            value = getattr(self, name)
            if not (isinstance(value, kind) and least <= float(value) < np.inf):
                wanted = "whole number" if kind is Integral else "number"
                raise ValueError(f"{name} is {value!r}; it must be a {wanted} of {least} or more")
        X, y = _validated(self, X, y)
        check_classification_targets(y)
        weights = np.ones(len(X)) if sample_weight is None else _check_sample_weight(sample_weight, X)
        if (weights < 0).any():
            raise ValueError("a sample weight is negative; a weight is the number of times a row counts")
        check_consistent_length(X, groups)
        courses = CoursesOfRows() if groups is None else known_courses(groups)
        courses = courses.take(np.flatnonzero(weights > 0))
        X, y, weights = X[weights > 0], y[weights > 0], weights[weights > 0]
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has {len(self.classes_)} class; at least two classes are needed")
        targets = np.eye(len(self.classes_))[labels] * weights[:, None]
        columns = map(str, getattr(self, "feature_names_in_", (f"x{column}" for column in range(X.shape[1]))))
        samples = TrainingRows(
            tuple(columns),
            tuple(map(str, self.classes_)),
            code([X], X.shape[1]),
            targets.astype(np.float32),
            courses=courses,
        )
        import_quietly(*NeuralNetwork.libraries)
        options = Options(hidden=self.hidden, epochs=self.epochs, shrinkage=self.shrinkage)
        seed = _seed(self.random_state)
        fitted = fitted_of(fit(samples.coded, samples.targets, seed=seed, groups=courses.groups, options=options))
        model = fitted.model(samples, float(weights.sum()))
        self.model_ = model if threshold == "tuned" else replace(model, threshold=float(threshold))
        return self

    def predict_proba(self, X: Any) -> npt.NDArray[np.float64]:
        """Calibrated probabilities (rows, K)."""
        check_is_fitted(self)
        return self.model_.classifier.probabilities(_validated(self, X))

    def predict_range(self, X: Any) -> npt.NDArray[np.float64] | None:
        """Low and high (rows, 2) of the second class's probability; see :meth:`moodlemlbackend.Model.predict_range`."""
        return self.model_.ranges(self.predict_proba(X))

    def decision_function(self, X: Any) -> npt.NDArray[np.float64]:
        """Log-odds (rows,) of the second of two classes, less those of the threshold; logarithms (rows, K) of more."""
        probabilities = self.predict_proba(X)
        with np.errstate(divide="ignore"):
            logarithms = np.log(probabilities)
        if len(self.classes_) > 2:
            return logarithms
        threshold = self.model_.threshold
        result: npt.NDArray[np.float64] = logarithms[:, 1] - logarithms[:, 0] - np.log(threshold / (1 - threshold))
        return result

    def predict(self, X: Any) -> npt.NDArray[Any]:
        """The class (rows,) that the decision function speaks for."""
        decision = self.decision_function(X)
        labels = decision.argmax(axis=1) if decision.ndim == 2 else (decision > 0).astype(int)
        result: npt.NDArray[Any] = self.classes_[labels]
        return result

    def explain(self, X: Any) -> Explanations:
        """How much each column contributes to the predictions; see :func:`moodlemlbackend.explain`."""
        from moodlemlbackend.processor.explanation import explain

        check_is_fitted(self)
        X = _validated(self, X)
        return explain(self.model_, self.model_.columns or (), X, [f"row {row}" for row in range(len(X))])

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _more_tags(self) -> dict[str, Any]:  # scikit-learn before 1.6
        return {"allow_nan": True}


def _validated(estimator: MoodleClassifier, X: Any, *y: Any) -> Any:
    """X as (rows, columns) float32; in training with y."""
    names = [*getattr(X, "columns", ())]
    if len(set(names)) < len(names):
        raise ValueError("two columns of X have the same name; rename one of them")
    options: dict[str, Any] = {"dtype": np.float32, "reset": bool(y)}
    try:
        from sklearn.utils.validation import validate_data
    except ImportError:  # scikit-learn before 1.6
        return estimator._validate_data(X, *y, force_all_finite="allow-nan", **options)
    return validate_data(estimator, X, *y, ensure_all_finite="allow-nan", **options)


def _seed(random_state: Any) -> int:
    if isinstance(random_state, (int, np.integer)):
        return int(random_state)
    return int(check_random_state(random_state).randint(_SEEDS))
