"""One folder a run: ``{outputdir}/logs/{runid}/`` with its log, figures and TensorBoard events."""

from __future__ import annotations

import logging
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend import __version__
from moodlemlbackend.errors import BackendError
from moodlemlbackend.files import storage_errors

if TYPE_CHECKING:
    from types import TracebackType

    from moodlemlbackend.runtime.progress import Reporter

LOG_NAME = "info.log"


class Run:
    """One run of a command on one output directory.

    Attributes
    ----------
    runid
        Milliseconds since the epoch, counted up past folders that exist, so no two runs of a directory share one.
        A lazy run's is settled at its first record.
    log
        Logger of this run alone, written to ``info.log`` in UTC; a record that cannot be written is dropped.
    info
        Sentences for the ``info`` that Moodle shows.
    """

    def __init__(self, outputdir: Path, runid: int) -> None:
        self._logs = outputdir / "logs"
        self._made = False
        self._closed = False
        self._failure: BaseException | None = None
        self.runid = runid
        self.info: list[str] = []
        self.log = logging.Logger("moodlemlbackend.run", logging.INFO)
        self.log.addHandler(_RunLog(self))

    @classmethod
    def start(cls, outputdir: Path, reporter: Reporter | None = None, *, lazy: bool = False) -> Run:
        """Start a run and report it; a lazy one makes its folder at the first record, and never fails for want of one.

        Raises
        ------
        StorageError
            The folder of a run that is not lazy cannot be made.
        """
        run = cls(Path(outputdir), time.time_ns() // 1_000_000)
        if not lazy:
            with storage_errors(run.dir):
                run._make_folder()
            run.log.info("moodlemlbackend %s, Python %s", __version__, sys.version.split()[0])
        if reporter is not None:
            reporter.started(run)
        return run

    @property
    def dir(self) -> Path:
        """The run's folder."""
        return self._logs / str(self.runid)

    @property
    def tensor_dir(self) -> Path:
        """Where TensorBoard event files of this run go; made by whoever writes them."""
        return self.dir / "tensor"

    @property
    def log_file(self) -> Path:
        """The log; not there yet when a lazy run has recorded nothing."""
        return self.dir / LOG_NAME

    def add_info(self, sentence: str) -> None:
        """Record a sentence that Moodle is to show, too."""
        self.info.append(sentence)
        self.log.info("%s", sentence)

    def fail(self, error: BaseException) -> None:
        """Record what ended the run, once: an expected error as its sentence, any other with its traceback.

        An expected error makes no folder for a lazy run: Moodle is told all there is to say.
        """
        expected = isinstance(error, BackendError) and error.__cause__ is None
        if error is self._failure or (expected and not self._made):
            return
        self._failure = error
        self.log.error("%s: %s", type(error).__name__, error, exc_info=None if expected else error)

    def close(self) -> None:
        """End the run: later records are dropped."""
        self._closed = True

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            self.fail(error)
        self.close()

    def _make_folder(self) -> None:
        self._logs.mkdir(parents=True, exist_ok=True)
        while not self._made:
            try:
                self.dir.mkdir()
                self._made = True
            except FileExistsError:
                self.runid += 1

    def _append(self, text: str) -> None:
        if self._closed:
            return
        if not self._made:
            self._make_folder()
        with self.log_file.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(f"{text}\n")


class _RunLog(logging.Handler):
    """Appends records to the run's log, which is open only while one is written."""

    def __init__(self, run: Run) -> None:
        super().__init__()
        self._run = run
        formatter = logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%SZ")
        formatter.converter = time.gmtime
        self.setFormatter(formatter)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; a full or read-only disk must not end a run that can do without its log."""
        with suppress(OSError):
            self._run._append(self.format(record))
