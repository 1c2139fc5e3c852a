"""A worker process: one job after the other, in the job's scratch folder.

There ``model`` is a link to the model's directory and ``dataset`` the upload, so that whatever the commands say names
these and no path of the server. What a job comes to goes back over the pipe, a large answer as the name of a file.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.errors import ArchiveError, BackendError, NotTrainedError, RequestError
from moodlemlbackend.runtime import reply, supervisor
from moodlemlbackend.runtime.environment import set_library_defaults
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.server import limits
from moodlemlbackend.server.jobs.job import JSON, RESULT_NAME, ZIP, Job, WorkerReply, WorkerSettings
from moodlemlbackend.server.logs import describe_fault
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.storage import archives, open_storage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

    from moodlemlbackend.server.jobs.job import Parts

READY = "ready"

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
    worker = Worker(settings)
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

    def __init__(self, settings: WorkerSettings) -> None:
        from moodlemlbackend.server.jobs.model_cache import ModelCache

        self._settings = settings
        self._storage = open_storage(settings.directory, wait=load_settings().lock_wait)
        self._models = ModelCache(limits.MODELS_LOADED)
        self._concealed = concealed_paths(settings.directory)
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
                f"An unexpected error ended {job.kind}; the server's log names it.".encode(),
                fault=describe_fault(error),
            )
        finally:
            with suppress(OSError):
                os.chdir("/")

    # ---- Moodle's calls ----

    def _train(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.train import train

        def call(reporter: QuietReporter, rows: int) -> reply.Result:
            with self._model(job, write=True) as model:
                began = time.monotonic()
                result = train(reporter, job.uniqueid, model, "dataset", settings=load_settings())
                _keep(reporter, "training", result, rows=rows, seconds=time.monotonic() - began)
            return result

        return self._json(job, call)

    def _predict(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.predict import predict, within

        def call(reporter: QuietReporter, _rows: int) -> reply.Result:
            with ExitStack() as stack:
                model = stack.enter_context(self._model(job, write=False))
                result = predict(
                    reporter, job.uniqueid, model, "dataset", settings=load_settings(), find=self._models.find
                )
                return {**result, "predictions": within(stack.pop_all(), result["predictions"])}

        return self._json(job, call)

    def _evaluate(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.evaluate import evaluate

        def call(reporter: QuietReporter, rows: int) -> reply.Result:
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
                _keep(reporter, "evaluation", result, rows=rows, seconds=time.monotonic() - began)
            return result

        return self._json(job, call)

    def _evaluation_log(self, job: Job) -> WorkerReply:
        parts = (*job.model, "logs", job.values["runid"])
        with self._storage.checkout(parts, write=False) as folder:
            if not folder.is_dir():
                raise RequestError("There is no run of this number.", 404)
            archives.pack(folder, Path("answer"), alter=lambda _, log: self._cleaned(log))
        return _archive()

    def _export(self, job: Job) -> WorkerReply:
        from moodlemlbackend.operations.transfer import export_model
        from moodlemlbackend.storage.model_store import ModelStore

        with self._model(job, write=False) as model:
            try:
                self._models.find(ModelStore(Path(model)))
            except NotTrainedError:
                raise RequestError("There is no trained model to be exported; train it first.", 404) from None
            export_model(QuietReporter(), job.uniqueid, model, "exported", settings=load_settings())
        archives.pack(Path("exported"), Path("answer"))
        return _archive()

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
                    QuietReporter(), job.uniqueid, model, "imported", settings=load_settings()
                )  # fmt: skip
        except BackendError as error:
            raise RequestError(str(error)) from error
        return WorkerReply(200, b"Ok")

    def _delete(self, job: Job) -> WorkerReply:
        self._storage.remove((*job.owner, job.uniqueid))
        return WorkerReply(200, b"Ok")

    # ---- what they share ----

    def _json(self, job: Job, call: Callable[[QuietReporter, int], reply.Result]) -> WorkerReply:
        """The line that the command would print, as the body; its exit code as the status."""
        try:
            rows = max(0, limits.check_dataset(Path("dataset"), self._settings.limits) - 3)
        except BackendError as error:
            if isinstance(error, RequestError):
                raise
            rows = 0  # the command says what is wrong with the file
        with closing(reply.Reply()) as answer:
            reporter = QuietReporter()
            status = supervisor.perform(job.kind, lambda _: call(reporter, rows), reporter, answer)
            line = self._conceal(answer.line())
        if len(line) <= limits.INLINE_BYTES:
            return WorkerReply(200, line, JSON, status=status, rows=rows)
        Path("answer").write_bytes(line)
        return WorkerReply(200, b"", JSON, "answer", status=status, rows=rows)

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

    def _refusal(self, error: BackendError, code: int) -> WorkerReply:
        text = self._conceal(" ".join(str(error).split()).encode("utf-8", "replace"))
        return WorkerReply(code, text, status=int(error.status), fault=type(error).__name__)

    def _conceal(self, text: bytes) -> bytes:
        for path, name in self._concealed:
            text = text.replace(path, name)
        return text

    def _cleaned(self, log: bytes) -> bytes:
        text = self._conceal(log).decode("utf-8", "replace")
        return archives.without_tracebacks(text).encode()


def concealed_paths(directory: str) -> list[tuple[bytes, bytes]]:
    """Paths of this server and what is said instead, the longest first; as they are, and as JSON has them."""
    places = {directory: "models", tempfile.gettempdir(): "scratch", sys.prefix: "python", sys.base_prefix: "python"}
    places[str(Path(__file__).parents[2])] = "python"
    named: dict[str, str] = {}
    for place, name in places.items():
        if "://" not in place and len(Path(place).absolute().parts) > 1:
            for path in (os.path.abspath(place), os.path.realpath(place)):  # noqa: PTH100
                named[path] = named[json.dumps(path)[1:-1]] = name
    return [(path.encode(), named[path].encode()) for path in sorted(named, key=len, reverse=True)]


def _keep(reporter: QuietReporter, kind: str, result: dict[str, Any], *, rows: int, seconds: float) -> None:
    """Write what a run came to into its folder."""
    if reporter.run is not None:
        figures = {key: value for key, value in result.items() if key not in ("predictions", "dir")}
        line = reply.encode({"kind": kind, "rows": rows, "seconds": round(seconds, 3), **figures})
        with suppress(OSError):
            (reporter.run.dir / RESULT_NAME).write_bytes(line)


def _archive() -> WorkerReply:
    answer = Path("answer")
    if answer.stat().st_size <= limits.INLINE_BYTES:
        return WorkerReply(200, answer.read_bytes(), ZIP)
    return WorkerReply(200, b"", ZIP, "answer")
