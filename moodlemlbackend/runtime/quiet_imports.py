"""Libraries that have something to say while they are imported."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module


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
