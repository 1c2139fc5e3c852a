"""How this process behaves for the libraries in it: their defaults, and how they are imported."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from moodlemlbackend.files import private_folder

if TYPE_CHECKING:
    from threading import Thread

_LIBRARY_DEFAULTS = {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_USE_LEGACY_KERAS": "1", "MPLBACKEND": "Agg"}

_OBJECTS_BETWEEN_COLLECTIONS = 100_000


def set_library_defaults() -> None:
    """Choose how libraries behave, by environment variables, unless the caller's environment does."""
    for name, value in _LIBRARY_DEFAULTS.items():
        os.environ.setdefault(name, value)
    home = os.environ.get("HOME")
    if os.name != "nt" and "MPLCONFIGDIR" not in os.environ and not (home and os.access(home, os.W_OK)):
        folder = private_folder()
        if folder is not None:
            os.environ["MPLCONFIGDIR"] = str(folder)


def collect_garbage_seldom() -> None:
    """Have Python look for reference cycles only after 100,000 more objects, not 700, and not among those of now.

    A list of a large site takes a million objects, all needed until the answer is made: to look through them is in
    vain. What is left in cycles keeps its memory longer.
    """
    import gc

    gc.freeze()
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, *gc.get_threshold()[1:])


def load_in_background(*modules: str) -> Thread:
    """Import modules one after the other in the thread returned; whoever needs one of them first waits for it there.

    Python looks for reference cycles only afterwards, and not among what the modules brought: their objects are here
    to stay, and going through them again and again is a fifth of the time that TensorFlow takes.
    """
    import gc
    import threading

    missing = [module for module in modules if module not in sys.modules]

    def load() -> None:
        if not missing:
            return
        gc.disable()
        try:
            for module in missing:
                import_module(module)
        except Exception:  # whoever needs it meets the same error, where it can be reported
            return
        finally:
            gc.freeze()
            gc.enable()

    thread = threading.Thread(target=load, daemon=True)
    thread.start()
    return thread


def import_quietly(*modules: str) -> None:
    """Import modules while standard error goes nowhere: TensorFlow tells there of its processor, whatever is set."""
    if all(module in sys.modules for module in modules):
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    kept = None
    with suppress(OSError):  # closed, or descriptors used up: then it is not quiet
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
    try:
        for module in modules:
            import_module(module)
    finally:
        if kept is not None:
            os.dup2(kept, 2)
            os.close(kept)
