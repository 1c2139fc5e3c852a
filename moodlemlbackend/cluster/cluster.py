"""The cluster that work goes to: opened for a block, and used by whatever runs in it."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import os
import tempfile
import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any, NamedTuple, TypeVar

from moodlemlbackend import __version__
from moodlemlbackend.cluster.files import Files
from moodlemlbackend.errors import BackendError, ClusterError, UsageError
from moodlemlbackend.interpreter import install_line, keep_spawned_processes_safe
from moodlemlbackend.runtime.environment import set_library_defaults

Part = TypeVar("Part")
Done = TypeVar("Done")

LOCAL = "local:"
_PACKAGE = "moodlemlbackend"
_TLS = "DASK_DISTRIBUTED__COMM__TLS__"

_open: list[Cluster] = []


class _Caller(NamedTuple):
    """What a task must do as its caller would, to give the same."""

    version: str
    blas_threads: int


class Cluster(NamedTuple):
    """A cluster in use.

    ``address`` is its scheduler's, by which the processes that this one starts can use it too, with the same ``files``.
    Of a ``local`` one the workers are processes of this machine.
    """

    client: Any
    address: str
    files: Files
    local: bool

    def each(self, work: Callable[[Files, Part], Done], parts: Iterable[Part]) -> Iterator[Done]:
        """Have workers do the work on each part; yields what comes of them, in order.

        ``work``, a function of this package or a partial of one, the parts and what comes of them are small: data are
        in files. It is done again where a worker dies, so it may do no more than write files.

        Raises
        ------
        ClusterError
            The scheduler or the workers are gone, or a worker cannot do this work.
        BackendError
            What the work raised.
        """
        from joblib import Parallel, delayed, parallel_config

        from moodlemlbackend.cluster.backend import Backend

        caller = _Caller(__version__, _blas_threads())
        tasks = (delayed(_perform)(caller, self.files, work, part) for part in list(parts))
        with self._errors_in_sentences(), parallel_config(backend=Backend(self.client, _patience())):
            results = Parallel(return_as="generator")(tasks)
            try:
                for done in results:  # noqa: UP028  leaving this generator must not close the other with a warning
                    yield done
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # that nobody wants the rest is no mistake
                    results.close()

    def workers(self) -> int:
        """How many there are now; raises as :meth:`each`."""
        with self._errors_in_sentences():
            return len(self.client.ncores())

    @contextmanager
    def _errors_in_sentences(self) -> Iterator[None]:
        from distributed import KilledWorker

        from moodlemlbackend.cluster.backend import AloneError, GoneError

        try:
            yield
        except (BackendError, GeneratorExit):
            raise
        except AloneError:
            raise ClusterError(
                f"The cluster {self.address} has no worker; start one and run the command again."
            ) from None
        except (GoneError, OSError, asyncio.TimeoutError) as error:
            raise ClusterError(
                f"The scheduler of the cluster {self.address} is gone; start it and its workers, then run the command "
                "again."
            ) from error
        except KilledWorker as error:
            raise ClusterError(
                f"A task of the cluster {self.address} was given up because its worker died again and again, the last "
                f"time {error.last_worker.address}; see that worker's log, and give its machine more memory."
            ) from None
        except ModuleNotFoundError as error:
            raise ClusterError(_lacking(f"A worker of the cluster {self.address}", error.name or "a package")) from None


def current() -> Cluster | None:
    """The cluster of the block that runs; None for this machine alone."""
    return _open[-1] if _open else None


@contextmanager
def using(address: str, files: str = "") -> Iterator[Cluster | None]:
    """Have what runs in the block use a cluster, or this machine alone if the address is empty.

    A cluster that is in use already stays in use. ``address`` is a scheduler's, or ``local:`` with a number: so many
    processes of this machine. ``files`` is a directory or URL that this machine and the workers reach; processes of
    this machine need none.

    Raises
    ------
    ClusterError
        The scheduler cannot be reached, has no worker, or a worker has another version of this package or none.
    UsageError
        The place for files is not known.
    """
    if _open or not address:
        yield current()
        return
    with ExitStack() as stack:
        _open.append(_connect(stack, address, files))
        try:
            yield _open[-1]
        finally:
            _open.clear()


def _connect(stack: ExitStack, address: str, files: str) -> Cluster:
    local = address.startswith(LOCAL)
    if not (local or files):
        raise UsageError(
            "A cluster needs a place for files that this machine and all workers reach; set cluster_files to a "
            "directory or a URL such as s3://bucket/scratch."
        )
    try:
        import distributed
    except ModuleNotFoundError as error:
        raise ClusterError(
            f"A cluster needs the package {error.name}: {install_line('analytics', 'cluster')}."
        ) from None
    for name in logging.root.manager.loggerDict:
        if name.partition(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    if local and not files:
        files = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{_PACKAGE}-cluster-"))
    loop = stack.enter_context(_event_loop())
    if local:
        address = _start(stack, loop, int(address.removeprefix(LOCAL)))
    try:
        asyncio.run_coroutine_threadsafe(_greet(address), loop.asyncio_loop).result()
        client = stack.enter_context(
            _left(distributed.Client(address, loop=loop, set_as_default=False))  # type: ignore[no-untyped-call]
        )
    except (OSError, ValueError, TypeError) as error:
        reason = "is not the address of a scheduler" if isinstance(error, ValueError) else "does not answer"
        raise ClusterError(
            f"The scheduler {address} {reason}; check the address, that the scheduler runs, and with tls:// Dask's "
            "certificates."
        ) from error
    own = Files(f"{files.rstrip('/')}/{_PACKAGE}-{uuid.uuid4().hex}" if "://" in files else _folder_in(files))
    cluster = Cluster(client, address, own, local)
    with cluster._errors_in_sentences():
        _check_workers(client, address)
    stack.callback(own.remove_all)
    return cluster


def _folder_in(files: str) -> str:
    return str(Path(files).absolute() / f"{_PACKAGE}-{uuid.uuid4().hex}")


async def _greet(address: str) -> None:
    """Connect and say good-bye: a client that cannot connect is not always closed."""
    from distributed import Security
    from distributed.comm.core import connect

    arguments = Security().get_connection_args("client")  # type: ignore[no-untyped-call]
    comm = await connect(address, **arguments)  # type: ignore[no-untyped-call]
    await comm.close()


@contextmanager
def _left(made: Any) -> Iterator[Any]:
    """Close a client or cluster at the end; work that is done is done even if the others are too slow to part."""
    try:
        yield made
    finally:
        with suppress(OSError, asyncio.TimeoutError):  # two classes until Python 3.11
            made.close()


@contextmanager
def _event_loop() -> Iterator[Any]:
    """A loop of Tornado's that a thread runs; Dask gives a thread of its own ten seconds to begin, and to end.

    On a busy machine that can be too little.
    """
    from tornado.ioloop import IOLoop

    begun: Future[tuple[IOLoop, asyncio.Event]] = Future()

    async def until_ended() -> None:
        ended = asyncio.Event()
        begun.set_result((IOLoop.current(), ended))
        await ended.wait()

    def run() -> None:
        try:
            asyncio.run(until_ended())
        except BaseException as error:
            if begun.done():
                raise
            begun.set_exception(error)

    thread = Thread(target=run, name=f"{_PACKAGE} cluster", daemon=True)
    thread.start()
    loop, ended = begun.result()
    try:
        yield loop
    finally:
        loop.add_callback(ended.set)
        thread.join()


def _start(stack: ExitStack, loop: Any, workers: int) -> str:
    """Start workers on this machine, which nobody without the keys of this process can use; returns the address."""
    import dask
    from distributed import LocalCluster, Security

    process = multiprocessing.current_process()
    stack.callback(setattr, process, "daemon", process.daemon)
    process.daemon = False  # or it may start none, as in a server's job
    stack.callback(_restore_environment, dict(os.environ))
    keep_spawned_processes_safe()
    set_library_defaults()
    security = Security.temporary()  # type: ignore[no-untyped-call]
    keys: dict[str, Any] = {
        "ca-file": security.tls_ca_file, "client.cert": security.tls_client_cert, "client.key": security.tls_client_key,
    }  # fmt: skip
    lean: dict[str, Any] = {f"distributed.{kind}.http.routes": [] for kind in ("scheduler", "worker", "nanny")}
    lean["distributed.worker.profile.enabled"] = False  # nobody looks, and its threads outlive a cluster
    lean["distributed.nanny.pre-spawn-environ"] = {}  # or the processes that this one starts have one BLAS thread
    try:
        with dask.config.set(lean):
            cluster = LocalCluster(  # type: ignore[no-untyped-call]
                n_workers=workers, threads_per_worker=1, processes=True, host="127.0.0.1", loop=loop,
                dashboard_address="127.0.0.1:0", security=security, silence_logs=logging.CRITICAL + 1,
            )  # fmt: skip
            stack.enter_context(_left(cluster))
    except (OSError, RuntimeError) as error:
        reason = " ".join(str(error.__cause__ or error).split()).rstrip(".")
        raise ClusterError(
            f"The processes of {LOCAL}{workers} could not be started ({reason}); choose fewer, or have the machine do "
            "less meanwhile."
        ) from error
    stack.enter_context(dask.config.set({f"distributed.comm.tls.{key}": value for key, value in keys.items()}))
    for key, value in keys.items():  # for the processes that this one starts
        os.environ[f"{_TLS}{key.upper().replace('-', '_').replace('.', '__')}"] = value
    address: str = cluster.scheduler_address
    return address


def _restore_environment(former: dict[str, str]) -> None:
    """Take back what was set for the workers; Dask, too, sets variables."""
    for name in os.environ.keys() - former.keys():
        del os.environ[name]
    os.environ.update(former)


def _check_workers(client: Any, address: str) -> None:
    """Raise ClusterError unless there are workers, each with this version of the package."""
    try:
        client.wait_for_workers(1, timeout=_patience())
    except (TimeoutError, asyncio.TimeoutError):  # two classes until Python 3.11
        raise ClusterError(f"The cluster {address} has no worker; start one and run the command again.") from None
    versions = client.get_versions(packages=[_PACKAGE])
    own = versions["client"]["packages"][_PACKAGE]
    for worker, about in versions["workers"].items():
        there = about["packages"][_PACKAGE]
        if there is None:
            raise ClusterError(_lacking(f"The worker {worker}", _PACKAGE))
        if there != own:
            raise ClusterError(_other_version(f"The worker {worker}", there))


def _perform(caller: _Caller, files: Files, work: Callable[[Files, Part], Done], part: Part) -> Done:
    """Do the work; on a worker. What scikit-learn would do in parallel is done here, not in further tasks."""
    from joblib import parallel_config

    if caller.version != __version__:
        raise ClusterError(_other_version("A worker of the cluster", __version__, caller.version))
    set_library_defaults()
    _use_blas_threads(caller.blas_threads)
    with parallel_config(backend="threading", n_jobs=1):
        return work(files, part)


def _blas_threads() -> int:
    """How many threads BLAS uses here, on which the last digits of its results depend."""
    from threadpoolctl import threadpool_info

    return max((pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"), default=1)


def _use_blas_threads(number: int) -> None:
    """Have BLAS use so many threads from now on, of those loaded and those to come; Dask has workers use one."""
    from threadpoolctl import threadpool_limits

    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), str(number)))
    threadpool_limits(limits=number, user_api="blas")


def _lacking(who: str, package: str) -> str:
    return f"{who} lacks the package {package}; install what this machine has there as well, with the extra cluster."


def _other_version(who: str, there: str, here: str = __version__) -> str:
    return f"{who} has version {there} of {_PACKAGE}, but this machine has {here}; install the same version on both."


def _patience() -> float:
    """Seconds to wait for a scheduler or a worker: Dask's setting for connections."""
    import dask
    from dask.utils import parse_timedelta

    seconds: float = parse_timedelta(dask.config.get("distributed.comm.timeouts.connect"))
    return seconds
