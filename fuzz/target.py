"""What a target is, and what no input may make it do.

A target takes bytes and a folder. It may refuse the input with a :class:`BackendError`; what it takes it must have
understood, which it proves by assertions. Whatever else it raises is a fault, and so is an input that takes too long,
writes outside the folder, starts a process, or connects to something.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from moodlemlbackend.errors import BackendError

Target = Callable[[bytes, Path], None]

TARGETS: dict[str, Target] = {}
SECONDS = 20
"""Most that one input may take."""
MOST_BYTES = 1 << 20
"""Most that an archive may unpack to."""
SEPARATOR = b"\n--and--\n"
"""Between the files of an input that has several."""
CORPUS = Path(__file__).parent / "corpus"
"""``corpus/TARGET/``: inputs to begin with. Those whose name begins with ``good`` are taken, not refused."""

_WRITES = {"os.mkdir": 1, "os.rename": 2, "os.link": 2, "os.symlink": 2, "sqlite3.connect": 1}
"""Events of Python that write, and how many of their arguments are paths."""
_NEVER = {
    "ctypes.dlopen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.system", "pickle.find_class",
    "socket.connect", "subprocess.Popen",
}  # fmt: skip
_TRUSTED = "babel."
"""Module whose own data is pickled."""


class Fault(BaseException):
    """Something that no input may cause."""


class _Guard:
    """Listens to what Python does while an input is read."""

    folder = ""
    allowed: tuple[str, ...] = ()
    seen = ""

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.folder:
            return
        if event in _NEVER and not str(arguments[0]).startswith(_TRUSTED) and not _loads_a_module():
            self._fault(f"{event} {arguments!r}")
        paths: tuple[Any, ...] = arguments[: _WRITES.get(event, 0)]
        if event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            paths = arguments[:1]
        for path in paths:
            if not isinstance(path, (str, bytes)) or os.fspath(path) in (":memory:", "/dev/null"):
                continue
            plain = os.fsdecode(path).removeprefix("file:").partition("?mode=")[0]
            if not os.path.realpath(plain).startswith((self.folder, *self.allowed)):
                self._fault(f"{event} outside of its folder: {path!r}")

    def _fault(self, text: str) -> None:
        self.seen = text
        raise Fault(text)


def _loads_a_module() -> bool:
    """Whether Python is loading one: what a module does then is no input's doing."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


_guard = _Guard()
_outside = tempfile.gettempdir()


def target(function: Target) -> Target:
    """Make a function a target; its name is the target's."""
    TARGETS[function.__name__] = function
    return function


def own_folder(prefix: str) -> Path:
    """A folder that stays until this process ends, where a target may write beside the folder of its input."""
    path = Path(_outside, f"{prefix}{os.getpid()}").resolve()
    _guard.allowed += (str(path),)
    path.mkdir()
    atexit.register(shutil.rmtree, path)
    return path


@contextmanager
def guarded() -> Iterator[Path]:
    """Have the guard listen from now on; gives the folder for inputs. Also temporary files belong there."""
    sys.addaudithook(_guard)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        folder = Path(work).resolve() / "here"
        folder.mkdir()
        with (
            mock.patch.object(tempfile, "tempdir", str(folder)),
            mock.patch.dict(os.environ, {"TMPDIR": str(folder)}),
        ):
            yield folder


def takes(name: str, data: bytes, folder: Path) -> bool:
    """Give an input to a target; whether it was taken. Raises what no target may raise."""
    taken = True
    _guard.folder = str(folder)
    try:
        TARGETS[name](data, folder)
    except BackendError:
        taken = False
    finally:
        _guard.folder, seen = "", _guard.seen
        _guard.seen = ""
        for entry in os.scandir(folder):
            shutil.rmtree(entry.path) if entry.is_dir(follow_symlinks=False) else Path(entry.path).unlink()
    if seen:
        raise Fault(seen)
    return taken


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise :class:`Fault` once the block has taken :data:`SECONDS` of a core; where nothing else watches the time."""

    def late(_number: int, _frame: object) -> None:
        raise Fault(f"took more than {SECONDS} seconds")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
