"""This Python: its processes, which import nothing that lies in the working directory, and how to install into it."""

import sys


def python_command(module: str, *arguments: object) -> list[str]:
    """Return the command that runs a module as ``python -m`` does, but with the import path of this process."""
    code = f"from runpy import run_module; run_module({module!r}, run_name='__main__', alter_sys=True)"
    return python_code(code, *arguments)


def python_code(code: str, *arguments: object) -> list[str]:
    """The same for code. Where the path names the working directory as ``""``, as a notebook's does, it is left out."""
    path = [entry for entry in sys.path if entry]
    return [sys.executable, *_SAFE_PATH, "-c", f"import sys; sys.path[:] = {path!r}\n{code}", *map(str, arguments)]


def keep_spawned_processes_safe() -> None:
    """Let processes that :mod:`multiprocessing` starts from now on look for modules where this process does."""
    if sys.version_info >= (3, 11):
        import os

        os.environ["PYTHONSAFEPATH"] = "1"
    else:
        from multiprocessing import util

        # Isolated until they take over this process's path. Python 3.10 gets no changes any more but for security.
        flags = util._args_from_interpreter_flags
        util._args_from_interpreter_flags = lambda: [*flags(), "-I"]


def install_line(*extras: str) -> str:
    """Say how to install this package again, with extras; an index of packages has another one of this name."""
    what = f"'.[{','.join(extras)}]'" if extras else "."
    return f"in the clone of this package, run {sys.executable} -m pip install {what}"


_SAFE_PATH = ["-P"] if sys.version_info >= (3, 11) else []
