"""Judge what can be learned from a data set, or what a trained model has learned."""

from __future__ import annotations

from contextlib import ExitStack
from math import isinf
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.cluster import current, using
from moodlemlbackend.errors import BackendError, InterruptedRunError, Status, UsageError
from moodlemlbackend.operations.train import seed_of
from moodlemlbackend.operations.trained_models import check_id, processor_of, store_of, trained_model
from moodlemlbackend.processor import get_processor
from moodlemlbackend.runtime.environment import load_in_background
from moodlemlbackend.runtime.progress import READING, WRITING, stage
from moodlemlbackend.runtime.run import Run
from moodlemlbackend.runtime.supervisor import describe

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from moodlemlbackend.processor.evaluation import SplitRatings
    from moodlemlbackend.processor.training_rows import TrainingRows
    from moodlemlbackend.runtime.progress import Reporter
    from moodlemlbackend.settings.backend import Settings

MOST_ITERATIONS = 1000


def evaluate(
    reporter: Reporter,
    modelid: str,
    outputdir: str,
    dataset: str,
    *,
    minscore: float,
    accepted_deviation: float,
    iterations: int,
    trained_model_dir: str | None,
    settings: Settings,
    origin: Sequence[Any] | None = None,
    rows_file: str | None = None,
    parts: Sequence[Sequence[int]] = (),
    masked: Sequence[str] = (),
) -> dict[str, Any]:
    """Judge the configuration that a labelled data set comes from, or a trained model on its samples.

    ``origin``, the fields of a :class:`~.run_report.RunOrigin`, is given by those whose own files this is done with;
    ``rows_file`` or ``parts`` say of which course each row is (:func:`.training_rows.read_samples`). Nothing is learned
    from the columns ``masked``; a trained model knows its own.
    """
    check_id(modelid)
    if not 1 <= iterations <= MOST_ITERATIONS:
        raise UsageError(f"The number of iterations is {iterations}; use 1 to {MOST_ITERATIONS}.")
    with ExitStack() as stack:
        if trained_model_dir is None:
            stack.enter_context(using(settings.cluster, settings.cluster_files))
        run = stack.enter_context(Run.start(Path(outputdir), reporter))
        model = None
        if trained_model_dir is None:
            processor = get_processor(settings.processor)
        else:
            model, stored = trained_model(store_of(modelid, trained_model_dir))
            processor = processor_of(stored)
        from moodlemlbackend.metrics import Rating
        from moodlemlbackend.processor.evaluation import mean_figures, verdict
        from moodlemlbackend.processor.processor import warn_of_constant_columns
        from moodlemlbackend.processor.splits import ROW
        from moodlemlbackend.processor.training_rows import read_samples
        from moodlemlbackend.report.run_report import LIBRARIES_OF_EVENTS, RunOrigin, RunReport

        load_in_background(*(() if trained_model_dir or current() else processor.libraries), *LIBRARIES_OF_EVENTS)
        report = stack.enter_context(RunReport(run))
        reporter.progress(READING, 0, 0)
        samples = read_samples(dataset, rows_file, parts=parts, masked=masked if model is None else model.masked)
        if model is not None:
            model.check(dataset, samples.columns, samples.classes)
            samples = samples.in_order(model.classes)
        seed = seed_of(settings, samples)
        options: dict[str, Any] = {
            "origin": RunOrigin(*origin) if origin else None,
            "processor": processor.name,
            "seed": seed,
            "score": settings.score,
            "minimum_score": minscore,
            "accepted_deviation": accepted_deviation,
        }
        about = (samples, "evaluate", modelid, outputdir, dataset)
        evaluation, ratings = None, []
        if model is not None:
            run.log.info("Evaluating the trained model in %s on %s: %d rows", trained_model_dir, dataset, len(samples))
            report.begin(*about, **options, trained_model=trained_model_dir)
            probabilities = model.probabilities_of_coded(samples.coded)
            ratings = [Rating(samples.labels, probabilities, model.threshold)]
        else:
            run.log.info(
                "Evaluating %s with %s, %d splits, seed %d, on %s: %d rows",
                modelid, processor.name, iterations, seed, dataset, len(samples),
            )  # fmt: skip
            report.begin(
                *about,
                **options,
                iterations=iterations,
                evaluation_split=settings.evaluation_split,
                rows_file=rows_file,
            )
            evaluation = processor.evaluate(
                samples,
                iterations=iterations,
                seed=seed,
                split=settings.evaluation_split,
                learning_curve=True,
                progress=stage(reporter, "Evaluating"),
            )
            ratings = [rating for rating, _ in evaluation]
        warn_of_constant_columns(samples, run)
        result, sentences = verdict(
            ratings,
            minimum_score=minscore,
            accepted_deviation=accepted_deviation,
            score=settings.score,
            seen=evaluation.seen if evaluation else None,
        )
        if evaluation is not None:
            result["split"] = evaluation.kind
            if settings.evaluation_split != ROW:
                sentences = [*sentences, split_in_words(evaluation, samples, result)]
        for sentence in sentences:
            run.add_info(sentence)
        run.log.info("Result: %s", mean_figures(result))
        reporter.progress(WRITING, 0, 0)
        if evaluation is not None:
            report.evaluation(evaluation, result)
        elif model is not None:
            report.rating(ratings[0], model, result)
        return {**result, "info": run.info, "dir": str(run.dir), "runid": run.runid}


def evaluate_all(
    reporter: Reporter, modelid: str, outputdir: str, datasets: Sequence[str], **options: Any
) -> dict[str, Any]:
    """Judge several data sets, the intervals of a model say, in one go; ``options`` as of :func:`evaluate`.

    One that cannot be judged, whatever the reason, does not stop the others. ``status`` is that of the best, which
    ``best`` names.
    """
    results = []
    for dataset in datasets:
        try:
            result = evaluate(reporter, modelid, outputdir, dataset, **options)
        except InterruptedRunError:
            raise
        except BackendError as error:
            result = _failed(str(error), error.status)
        except Exception as error:  # its run's log has the traceback
            result = _failed(describe("the evaluation", error), Status.GENERAL_ERROR)
        results.append({"dataset": dataset, **result})
        reporter.message(f"{dataset}: {result.get('score', result['info'])}")
    best = max(results, key=lambda result: float(result.get("score", -1)))
    return {"status": best["status"], "info": best["info"], "best": best["dataset"], "evaluations": results}


def _failed(text: str, status: Status) -> dict[str, Any]:
    return {"status": int(status), "info": [text], "errors": [text]}


def split_in_words(evaluation: SplitRatings, samples: TrainingRows, result: Mapping[str, Any]) -> str:
    """Say what the score is of: new courses, or courses that were trained on, and why."""
    from moodlemlbackend.processor.splits import COURSE, ROW, TIME, beginnings
    from moodlemlbackend.report.both_splits import expectation

    if evaluation.kind == ROW:
        return (
            f"Single rows were held out, not whole courses, because {evaluation.reason}; expect lower scores "
            "in new courses."
        )
    known = f"{samples.courses.number} courses"
    if samples.courses.sure < 1:
        known += f" ({samples.courses.sure:.0%} sure)"
    left_out = ""
    if evaluation.kind == TIME and (timeless := sum(map(isinf, beginnings(samples)))):
        left_out = f" Courses left out because their time is unknown: {timeless}."
    held_out = {
        COURSE: f"Whole courses were held out from a total of {known}",
        TIME: f"Later courses were held out from a total of {known}",
    }
    new = "later" if evaluation.kind == TIME else "new"
    return (
        f"{held_out[evaluation.kind]}: the score in {new} courses is {result['score']:.4f}; in courses the "
        f"model has seen, it would be {result['seen']['score']:.4f}. {expectation(result)}{left_out}"
    )
