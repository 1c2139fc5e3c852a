"""Why a sample is predicted as it is: how much each indicator adds to the log-odds of a class.

With two classes the log-odds of class 1 are explained, with more those of the predicted class against all others. A
classifier that knows its exact contributions gives them (:meth:`Classifier.contributions`); of any other they are
estimated by Shapley values of random orders (Štrumbelj & Kononenko 2014), which add up in any case. What does not add
up to the prediction is refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from moodlemlbackend.dataset import words
from moodlemlbackend.dataset.columns import IndicatorColumns, indicators_of
from moodlemlbackend.errors import ModelError
from moodlemlbackend.metrics import decide
from moodlemlbackend.processor.course_spread import Range, probability_ranges
from moodlemlbackend.processor.processor import Classifier, Floats, Probabilities, TrainedModel, code_of

TOLERANCE = 1e-3
"""How far, in log-odds, contributions may miss the prediction."""

ORDERS = 32
"""Random orders of the indicators that an estimate is the mean of."""

AVERAGE = "the average sample in the training data"
EMPTY = "a sample without any calculated indicators"

_FARTHEST = 20.0  # log-odds from which on a probability is too close to 1 to be turned back
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
_ROWS_AT_ONCE = 512


@dataclass(frozen=True)
class Contribution:
    """What one indicator adds to a prediction: ``contribution`` in log-odds, ``value`` as people read it."""

    indicator: str
    label: str
    value: str
    contribution: float

    def __str__(self) -> str:
        """The contribution with its sign."""
        return f"{self.contribution:+.2f}".replace("-", "−")


@dataclass(frozen=True)
class Explanation:
    """Why one sample is predicted as it is.

    Attributes
    ----------
    sample:
        its id, or a text such as ``row 4``.
    predicted, explained:
        the predicted class, and the class that ``probability`` and ``logit`` are of: with two classes always class 1.
    probability, threshold:
        calibrated probability; and that from which on class 1 is predicted, None with more than two classes.
    score:
        the decision score of the predicted class: what Moodle gets.
    baseline, logit:
        log-odds of the baseline and of this sample; the difference is the sum of all contributions.
    baseline_is:
        what the baseline is, in words.
    exact:
        False when the contributions are estimates, whose sum alone is exact.
    reasons:
        all indicators that contribute, the largest first.
    spread:
        how far unseen courses differ from what is promised for them, in log-odds; None if unknown.
    """

    sample: str
    predicted: str
    explained: str
    probability: float
    threshold: float | None
    score: float
    baseline: float
    logit: float
    baseline_is: str
    exact: bool
    reasons: tuple[Contribution, ...]
    spread: float | None = None

    @property
    def probability_range(self) -> Range | None:
        """Low and high of the probability in 8 of 10 courses; None where the spread is not known."""
        if self.spread is None:
            return None
        low, high = probability_ranges(np.array([self.probability]), self.spread)[0].tolist()
        return low, high

    def largest(self, top: int) -> list[Contribution]:
        """The ``top`` largest reasons, and one that is the sum of the others."""
        others = self.reasons[top:]
        if len(others) < 2:
            return [*self.reasons]
        rest = Contribution("", f"{len(others)} others together", "", sum(reason.contribution for reason in others))
        return [*self.reasons[:top], rest]

    def sentences(self) -> list[str]:
        """The prediction, and what the contributions start from."""
        calls_for_it = (
            f"; it is predicted from {_percent(self.threshold)} upwards" if self.threshold is not None else ""
        )
        likely = self.probability_range
        within = f" ({words.probability_range(likely)})" if likely is not None else ""
        start = 1 / (1 + float(np.exp(-self.baseline)))
        named = self.sample.capitalize() if self.sample.startswith("row ") else f"Sample {self.sample}"
        return [
            f"{named}: class {self.predicted} is predicted, with the score {self.score:.3f} for Moodle.",
            f"The probability of class {self.explained} is {_percent(self.probability)}{within}{calls_for_it}.",
            f"For {self.baseline_is} it is {_percent(start)}; the indicators explain the difference.",
            *([] if self.exact else ["Individual contributions are estimates; their sum is exact."]),
        ]

    def __str__(self) -> str:
        """The sentences, and a line for each of the ten largest contributions."""
        lines = [
            f"{reason!s:>6} {reason.label}{': ' if reason.value else ''}{reason.value}" for reason in self.largest(10)
        ]
        return "\n".join([*self.sentences(), *lines])

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON can hold it."""
        return {**asdict(self), "probability_range": self.probability_range}


@dataclass(frozen=True, eq=False)
class Explanations(Sequence[Explanation]):
    """Why many samples are predicted as they are; an item is the :class:`Explanation` of one.

    Attributes
    ----------
    indicators:
        the I indicators of the data set.
    contributions:
        (rows, I) float64, in log-odds of the class ``explained`` (rows,).
    baseline, logit:
        (rows,) float64: ``baseline + contributions.sum(axis=1)`` is ``logit``, to a thousandth.
    probabilities:
        (rows, K) calibrated, of ``classes``.
    spread:
        of the model, in log-odds; see :class:`Explanation`.
    """

    samples: tuple[str, ...]
    classes: tuple[str, ...]
    threshold: float
    indicators: tuple[IndicatorColumns, ...]
    features: Floats
    contributions: npt.NDArray[np.float64]
    explained: npt.NDArray[np.int64]
    baseline: npt.NDArray[np.float64]
    logit: npt.NDArray[np.float64]
    probabilities: Probabilities
    baseline_is: str
    exact: bool
    spread: float | None = None

    def __len__(self) -> int:
        return len(self.samples)

    @overload
    def __getitem__(self, row: int) -> Explanation: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Explanation]: ...
    def __getitem__(self, row: int | slice) -> Explanation | Sequence[Explanation]:
        if isinstance(row, slice):
            return [self[position] for position in range(*row.indices(len(self)))]
        row = range(len(self))[row]
        labels, scores = decide(self.probabilities[row : row + 1], self.threshold)
        order = np.argsort(-np.abs(self.contributions[row]), kind="stable")
        reasons = (
            Contribution(indicator.name, indicator.label, indicator.value(self.features[row]), float(contribution))
            for indicator, contribution in ((self.indicators[i], self.contributions[row, i]) for i in order)
            if contribution
        )
        explained = int(self.explained[row])
        return Explanation(
            sample=self.samples[row],
            predicted=self.classes[labels[0]],
            explained=self.classes[explained],
            probability=float(self.probabilities[row, explained]),
            threshold=self.threshold if len(self.classes) == 2 else None,
            score=float(scores[0]),
            baseline=float(self.baseline[row]),
            logit=float(self.logit[row]),
            baseline_is=self.baseline_is,
            exact=self.exact,
            reasons=tuple(reasons),
            spread=self.spread,
        )

    def __iter__(self) -> Iterator[Explanation]:
        return (self[row] for row in range(len(self)))


def _percent(probability: float) -> str:
    """A probability as people read it: in doubt it is neither 0 nor 100%."""
    if probability < 0.001:
        return "under 0.1%"
    return f"{100 * probability:.3g}%" if probability <= 0.999 else "over 99.9%"


def explain(model: TrainedModel, columns: tuple[str, ...], features: Floats, samples: Sequence[str]) -> Explanations:
    """Explain the predictions of a model for (rows, columns) features; ``samples`` are the rows' ids or numbers.

    Raises
    ------
    ModelError
        The classifier's contributions do not add up to its predictions, or it fails.
    """
    indicators = indicators_of(columns)
    seen, probabilities = model.seen(features), model.probabilities(features)
    explained = (
        np.ones(len(features), np.int64) if len(model.classes) == 2 else probabilities.argmax(axis=1).astype(np.int64)
    )
    with code_of(model.processor, "explanation"):
        terms = [
            _explain(model.classifier, indicators, seen[rows], explained[rows])
            for rows in (slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(features), _ROWS_AT_ONCE))
        ]
    exact = all(part[2] for part in terms)
    contributions = np.concatenate([part[0] for part in terms])
    baseline = np.concatenate([part[1] for part in terms])
    logit = baseline + contributions.sum(axis=1)
    _check_sums(logit, probabilities, explained, samples)
    return Explanations(
        tuple(samples),
        model.classes,
        model.threshold,
        indicators,
        features,
        contributions,
        explained,
        baseline,
        logit,
        probabilities,
        AVERAGE if exact else EMPTY,
        exact,
        model.spread,
    )


def _explain(
    classifier: Classifier, indicators: tuple[IndicatorColumns, ...], features: Floats, explained: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], bool]:
    """Contributions (rows, indicators), baseline (rows,), and whether they are exact."""
    exact = classifier.contributions(features)
    if exact is None:
        baseline, by_indicator = _sampled(classifier, indicators, features)
    else:
        baseline = exact.baseline
        order = np.concatenate([np.array(indicator.columns, np.int64) for indicator in indicators])
        starts = np.cumsum([0, *(len(indicator.columns) for indicator in indicators[:-1])])
        by_indicator = np.add.reduceat(exact.of_columns[:, order].astype(np.float64), starts, axis=1)
    return *_against_rest(baseline, by_indicator, explained), exact is not None


def _against_rest(
    baseline: npt.NDArray[np.float64], by_indicator: npt.NDArray[np.float64], explained: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Turn log-odds against class 0 into those of one class against all others.

    The classes other than the explained one count by their mean share of what is left to them on the line from the
    baseline's log-odds to the row's (the integrated gradient of the logarithm of their sum).

    Parameters
    ----------
    baseline, by_indicator:
        (K - 1,) and (rows, indicators, K - 1) log-odds against class 0.
    explained:
        (rows,) the class that is explained.

    Returns
    -------
    contributions (rows, indicators) and baseline (rows,).
    """
    rows = np.arange(len(explained))
    begin = np.append(0.0, baseline)
    moved = np.pad(by_indicator.sum(axis=1), ((0, 0), (1, 0)))  # (rows, K)
    on_the_way = begin + moved * ((_NODES + 1) / 2)[:, None, None]  # (nodes, rows, K)
    on_the_way[:, rows, explained] = -np.inf
    shares = np.exp(on_the_way - on_the_way.max(axis=2, keepdims=True))
    shares /= shares.sum(axis=2, keepdims=True)
    weights = -np.einsum("n,nrk->rk", _WEIGHTS / 2, shares)
    weights[rows, explained] = 1
    others = np.tile(begin, (len(rows), 1))
    others[rows, explained] = -np.inf
    contributions: npt.NDArray[np.float64] = np.einsum("rik,rk->ri", by_indicator, weights[:, 1:], optimize=True)
    return contributions, begin[explained] - np.logaddexp.reduce(others, axis=1)


def _sampled(
    classifier: Classifier, indicators: tuple[IndicatorColumns, ...], features: Floats
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Estimate contributions: fill an empty row with the indicators in random orders, and see what each changes."""
    rng = np.random.default_rng(0)
    empty = np.full((1, features.shape[1]), np.nan, np.float32)
    baseline = _log_odds(classifier.probabilities(empty))[0]
    drawn = np.zeros((len(features), len(indicators), len(baseline)))
    for row, cells in enumerate(features):
        known = [i for i, indicator in enumerate(indicators) if not np.isnan(cells[list(indicator.columns)]).all()]
        for _ in range(ORDERS // 2):
            order = rng.permutation(np.array(known, np.int64))
            for part in (order, order[::-1]):
                steps = np.tile(empty, (len(part) + 1, 1))
                for step, position in enumerate(part, 1):
                    columns = list(indicators[position].columns)
                    steps[step:, columns] = cells[columns]
                drawn[row, part] += np.diff(_log_odds(classifier.probabilities(steps)), axis=0)
    return baseline, drawn / ORDERS


def _log_odds(probabilities: Probabilities) -> npt.NDArray[np.float64]:
    """Log-odds (rows, K - 1) against class 0."""
    logarithms = np.log(np.maximum(probabilities, np.exp(-_FARTHEST)))
    difference: npt.NDArray[np.float64] = logarithms[:, 1:] - logarithms[:, :1]
    return difference


def _check_sums(
    logit: npt.NDArray[np.float64],
    probabilities: Probabilities,
    explained: npt.NDArray[np.int64],
    samples: Sequence[str],
) -> None:
    probability = probabilities[np.arange(len(logit)), explained]
    with np.errstate(divide="ignore"):
        predicted = np.log(probability) - np.log1p(-probability)
    missed = np.abs(np.clip(logit, -_FARTHEST, _FARTHEST) - np.clip(predicted, -_FARTHEST, _FARTHEST))
    wrong = np.flatnonzero(~(missed <= TOLERANCE))
    if len(wrong):
        row = wrong[0]
        raise ModelError(
            f"The contributions to the prediction of sample {samples[row]} add up to {logit[row]:.4f}, but its "
            f"log-odds are {predicted[row]:.4f}; they are not shown; report this to the author of the processor."
        )
