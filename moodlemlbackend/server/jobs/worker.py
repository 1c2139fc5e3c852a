"""A worker process: one job after the other, in the job's scratch folder.

There ``model`` is a link to the model's directory and ``dataset`` the upload, so that whatever the commands say names
these and no path of the server. What a job comes to goes back over the pipe, a large answer as the name of a file.
"""

from __future__ import annotations

import gc
import importlib
import os
import signal
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from moodlemlbackend.errors import ArchiveError, BackendError, NotTrainedError, RequestError
from moodlemlbackend.runtime import reply, supervisor
from moodlemlbackend.runtime.environment import set_library_defaults
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.server import limits
from moodlemlbackend.server.hidden_paths import HiddenPaths
from moodlemlbackend.server.jobs.job import JSON, RESULT_NAME, ZIP, Job, WorkerReply, WorkerSettings
from moodlemlbackend.server.logs import describe_fault
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.storage import archives, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from moodlemlbackend.runtime.promise import Promise
    from moodlemlbackend.server.jobs.job import Parts

READY = "ready"

ANSWER = Path("answer")
"""In the scratch folder of a job."""

_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Of a worker for predictions, set before NumPy is loaded: workers side by side are quicker than threads that wait."""


def main(connection: Connection, settings: WorkerSettings) -> None:
    """Work until the server closes the pipe, or ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    os.dup2(null, 2)
    threading.Thread(target=_end_with_server, daemon=True).start()
    set_library_defaults()
    if not settings.trains:
        for name in _THREADS:
            os.environ.setdefault(name, "1")
    worker = Worker(settings, connection.send)
    if settings.trains:
        os.nice(limits.TRAINING_NICE)
        preload()
    gc.collect()
    gc.freeze()
    connection.send(READY)
    with suppress(EOFError, OSError):
        while True:
            connection.send(worker.perform(connection.recv()))
            gc.collect()


def preload() -> None:
    """Load what training and evaluation with the chosen processor need."""
    from moodlemlbackend.processor import get_processor
    from moodlemlbackend.report.run_report import LIBRARIES_OF_REPORTS

    for name in (*get_processor(load_settings().processor).libraries, *LIBRARIES_OF_REPORTS):
        importlib.import_module(name)


def _end_with_server() -> None:
    from multiprocessing import connection, parent_process

    server = parent_process()
    if server is not None:
        connection.wait([server.sentinel])
        os._exit(1)


class Worker:
    """Performs jobs; knows nothing of HTTP but the numbers of answers."""

    def __init__(self, settings: WorkerSettings, promise: Callable[[Promise], None] = lambda _: None) -> None:
        from moodlemlbackend.server.jobs.model_cache import ModelCache

        self._settings = settings
        self._storage = open_storage(settings.directory, wait=load_settings().lock_wait)
        self._models = ModelCache(limits.MODELS_LOADED)
        self._hidden = HiddenPaths({settings.directory: "models"})
        self._promise = promise
        self._work: dict[str, Callable[[Job], WorkerReply]] = {
            "training": self._train,
            "prediction": self._predict,
            "evaluation": self._evaluate,
            "evaluationlog": self._evaluation_log,
            "export": self._export,
            "import": self._import,
            "deletemodel": self._delete,
        }

    def perform(self, job: Job) -> WorkerReply:
        """Do a job; never raises."""
        try:
            os.chdir(job.scratch)
            return self._work[job.kind](job)
        except RequestError as error:
            return self._refusal(error, error.code)
        except BackendError as error:
            return self._refusal(error, 500)
        except MemoryError:
            return WorkerReply(500, f"There is not enough memory for {job.kind}.".encode(), fault="MemoryError")
        except Exception as error:
            return WorkerReply(
                500,
                f"An unexpected error ended {job.kind}; see the server's log.".encode(),
                fault=describe_fault(error),
            )
        finally:
            with suppress(OSError):
                os.chdir("/")

    # ---- Moodle's calls ----

    def _train(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.train import train

        check = self._read_dataset()

        def call(reporter: QuietReporter) -> reply.Result:
            with self._model(job, write=True) as model:
                began = time.monotonic()
                result = train(reporter, job.uniqueid, model, "dataset", settings=load_settings())
                _keep(reporter, "training", result, rows=check.rows, seconds=time.monotonic() - began)
            return result

        return self._answer(job, call, check)

    def _predict(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.predict import predict, within

        check = limits.DataSetCheck(self._settings.limits)

        def call(reporter: QuietReporter) -> reply.Result:
            with ExitStack() as stack:
                model = stack.enter_context(self._model(job, write=False))
                result = predict(
                    reporter, job.uniqueid, model, "dataset", settings=load_settings(), find=self._models.find,
                    watch=check.watch,
                )  # fmt: skip
                return {**result, "predictions": within(stack.pop_all(), result["predictions"])}

        return self._answer(job, call, check)

    def _evaluate(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.evaluate import evaluate

        check = self._read_dataset()

        def call(reporter: QuietReporter) -> reply.Result:
            with ExitStack() as stack:
                trained = None
                if job.values["trained"]:
                    parts = (*job.owner, job.uniqueid, job.values["trained"])
                    stack.enter_context(self._link("trained", parts, write=False))
                    trained = "trained"
                model = stack.enter_context(self._model(job, write=True))
                began = time.monotonic()
                result = evaluate(
                    reporter,
                    job.uniqueid,
                    model,
                    "dataset",
                    minscore=job.values["minscore"],
                    accepted_deviation=job.values["maxdeviation"],
                    iterations=job.values["niterations"],
                    trained_model_dir=trained,
                    settings=load_settings(),
                )
                result["dir"] = f"{job.uniqueid}/{job.dirhash}/logs/{result['runid']}"
                _keep(reporter, "evaluation", result, rows=check.rows, seconds=time.monotonic() - began)
            return result

        return self._answer(job, call, check)

    def _evaluation_log(self, job: Job) -> WorkerReply:
        parts = (*job.model, "logs", job.values["runid"])
        with self._storage.checkout(parts, write=False) as folder:
            if not folder.is_dir():
                raise RequestError("There is no run with this number.", 404)
            archives.pack(folder, ANSWER, alter=lambda _, log: self._cleaned(log))
        return _reply_of_file(ZIP)

    def _export(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.transfer import export_model
        from moodlemlbackend.storage.model_store import ModelStore

        with self._model(job, write=False) as model:
            try:
                self._models.find(ModelStore(Path(model)))
            except NotTrainedError:
                raise RequestError("There is no trained model to export; train it first.", 404) from None
            export_model(QuietReporter(), job.uniqueid, model, "exported", settings=load_settings())
        archives.pack(Path("exported"), ANSWER)
        return _reply_of_file(ZIP)

    def _import(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.transfer import import_model

        allowed = self._settings.limits
        try:
            archives.unpack(
                Path("importzip"), Path("imported"),
                entries=allowed.zip_entries, unpacked_bytes=allowed.uncompressed_bytes,
            )  # fmt: skip
        except ArchiveError as error:
            raise RequestError(str(error), 413 if error.too_large else 400) from error
        try:
            with self._model(job, write=True) as model:
                import_model(
                    self._reporter(), job.uniqueid, model, "imported", settings=load_settings()
                )  # fmt: skip
        except BackendError as error:
            raise RequestError(str(error)) from error
        return WorkerReply(200, b"Ok")

    def _delete(self, job: Job) -> WorkerReply:
        self._storage.remove((*job.owner, job.uniqueid))
        return WorkerReply(200, b"Ok")

    # ---- what they share ----

    def _read_dataset(self) -> limits.DataSetCheck:
        """Check the upload as a whole, before a run begins."""
        check = limits.DataSetCheck(self._settings.limits)
        check.read(Path("dataset"))
        return check

    def _answer(
        self, job: Job, call: Callable[[QuietReporter], reply.Result], check: limits.DataSetCheck
    ) -> WorkerReply:
        """The line that the command would print, as the body; its exit code as the status."""
        with ANSWER.open("w+b") as file, closing(JobAnswer(file, self._hidden)) as answer:
            reporter = self._reporter()
            status = supervisor.perform(job.kind, lambda _: call(reporter), reporter, answer)
        if check.refusal is not None:
            raise check.refusal
        return _reply_of_file(JSON, status=status, rows=check.rows)

    @contextmanager
    def _model(self, job: Job, *, write: bool) -> Iterator[str]:
        with self._link("model", job.model, write=write):
            yield "model"

    @contextmanager
    def _link(self, name: str, parts: Parts, *, write: bool) -> Iterator[None]:
        """Let a name in the scratch folder lead to a model's directory."""
        with self._storage.checkout(parts, write=write) as folder:
            if write:
                folder.mkdir(parents=True, exist_ok=True)
            Path(name).symlink_to(folder.resolve(), target_is_directory=True)
            yield

    def _reporter(self) -> QuietReporter:
        """One whose promises go to the server, from where a published model is in force at once."""
        return _PromisingReporter(self._hidden, self._promise) if self._storage.in_place else QuietReporter()

    def _refusal(self, error: BackendError, code: int) -> WorkerReply:
        text = self._hidden.hide(" ".join(str(error).split()))
        return WorkerReply(code, text.encode("utf-8", "replace"), status=int(error.status), fault=type(error).__name__)

    def _cleaned(self, log: bytes) -> bytes:
        return archives.without_tracebacks(self._hidden.hide(log.decode("utf-8", "replace"))).encode()


class _PromisingReporter(QuietReporter):
    """Tells the server what a job will have come to, without paths."""

    def __init__(self, hidden: HiddenPaths, send: Callable[[Promise], None]) -> None:
        super().__init__()
        self._hidden, self._send = hidden, send

    def promise(self, promise: Promise) -> None:
        """Pass it on."""
        self._send(replace(promise, result=self._hidden.hide_in(promise.result)))


class JobAnswer(reply.Reply):
    """The line of a job, written once, to a file, and without paths of the server."""

    def __init__(self, file: BinaryIO, hidden: HiddenPaths) -> None:
        super().__init__(file)
        self._hidden = hidden

    def write(self, result: reply.Result) -> int:
        """Write a result as its base does."""
        return super().write(self._hidden.hide_in(result))


def _keep(reporter: QuietReporter, kind: str, result: dict[str, Any], *, rows: int, seconds: float) -> None:
    """Write what a run came to into its folder."""
    if reporter.run is not None:
        figures = {key: value for key, value in result.items() if key not in ("predictions", "dir")}
        line = reply.encode({"kind": kind, "rows": rows, "seconds": round(seconds, 3), **figures})
        with suppress(OSError):
            (reporter.run.dir / RESULT_NAME).write_bytes(line)


def _reply_of_file(media: str, *, status: int = 0, rows: int = 0) -> WorkerReply:
    """The answer that was written: its content if that is little, else its name."""
    small = ANSWER.stat().st_size <= limits.INLINE_BYTES
    body, file = (ANSWER.read_bytes(), None) if small else (b"", ANSWER.name)
    return WorkerReply(200, body, media, file, status, rows)
