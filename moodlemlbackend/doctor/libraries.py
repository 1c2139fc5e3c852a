"""The processor's instructions and the libraries: each is imported, in a process of its own, for it may crash."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.doctor.processes import PROBE_SECONDS
from moodlemlbackend.interpreter import python_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from moodlemlbackend.settings.backend import Settings

PACKAGES = {
    "numpy": "numpy",
    "pyarrow": "pyarrow",
    "sklearn": "scikit-learn",
    "matplotlib": "matplotlib",
    "tensorboard": "tensorboard",
    "filelock": "filelock",
    "click": "click",
    "rich": "rich",
}
"""What every installation needs beside TensorFlow: module and name to install."""

_PROBE = """
import importlib, importlib.metadata, json, sys, time
from moodlemlbackend.runtime.environment import set_library_defaults
set_library_defaults()
for module, name in json.loads(sys.argv[1]).items():
    start = time.perf_counter()
    try:
        imported = importlib.import_module(module)
        seconds = time.perf_counter() - start
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            version = str(getattr(imported, "__version__", "of unknown version"))
        found = {"version": version, "seconds": seconds}
    except ImportError as error:
        found = {"missing": isinstance(error, ModuleNotFoundError) and error.name == module, "error": str(error)}
    except Exception as error:
        found = {"missing": False, "error": f"{type(error).__name__}: {error}"}
    print(json.dumps({"module": module, **found}), flush=True)
"""


def check_instructions(settings: Settings, cpuinfo: Path = Path("/proc/cpuinfo")) -> Finding:
    """Whether the processor has the instructions that TensorFlow needs."""
    topic, machine = "Processor", f"{os.cpu_count()} cores, {platform.machine()}"
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), None)
    if flags is None:
        return Finding(topic, Level.OK, f"{machine}; its instruction set cannot be read here")
    if "avx" in flags:
        instructions = [name.upper() for name in ("avx", "avx2", "fma", "avx512f") if name in flags]
        return Finding(topic, Level.OK, f"{machine}, with {', '.join(instructions)}")
    return Finding(
        topic,
        _level_of_tensorflow(settings),
        f"{machine}, which lacks the AVX instructions TensorFlow needs",
        "Use a computer or virtual machine with AVX, or set processor to logistic_regression.",
    )


def _level_of_tensorflow(settings: Settings) -> Level:
    """How bad it is to have no TensorFlow: only the processor neural_network trains with it."""
    return Level.PROBLEM if settings.processor == "neural_network" else Level.WARNING


def _probe(modules: dict[str, str]) -> dict[str, dict[str, object]]:
    """Import modules in a process of their own; what became of each, up to the first that ended the process."""
    command = python_code(_PROBE, json.dumps(modules))
    try:
        probe = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PROBE_SECONDS)
        output, code = probe.stdout, probe.returncode
    except subprocess.TimeoutExpired as error:
        output, code = error.stdout or b"", None
    results: dict[str, dict[str, object]] = {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
            results[entry.pop("module")] = entry
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # a library printed it
    ended = next((module for module in modules if module not in results), None)
    if ended is not None:
        results[ended] = {"crash": code}
    return results


def check_packages() -> Iterator[Finding]:
    """Import what every installation needs."""
    results = _probe(PACKAGES)
    versions = [f"{PACKAGES[name]} {outcome['version']}" for name, outcome in results.items() if "version" in outcome]
    if versions:
        yield Finding("Packages", Level.OK, ", ".join(versions))
    for module, name in PACKAGES.items():
        outcome = results[module]
        if "version" not in outcome:
            advice = f"Install it again: {sys.executable} -m pip install -U {name}"
            yield Finding(name, Level.PROBLEM, _failure(outcome), advice)
            if "crash" in outcome:
                return


def check_tensorflow(settings: Settings, *, has_avx: bool) -> Finding:
    """Import TensorFlow."""
    outcome = _probe({"tensorflow": "tensorflow"})["tensorflow"]
    if "version" in outcome:
        return Finding("TensorFlow", Level.OK, f"{outcome['version']}, imported in {outcome['seconds']:.1f} s")
    advice = f"Install it again: {sys.executable} -m pip install -U tensorflow-cpu (or tensorflow)."
    if not has_avx or outcome.get("crash") == -getattr(signal, "SIGILL", 4):
        advice = "Use a computer or virtual machine with AVX, or set processor to logistic_regression."
    return Finding("TensorFlow", _level_of_tensorflow(settings), _failure(outcome), advice)


def _failure(outcome: dict[str, object]) -> str:
    """Say why a module could not be imported."""
    if outcome.get("missing"):
        return "not installed"
    if "error" in outcome:
        return f"cannot be imported: {' '.join(str(outcome['error']).split())[:300]}"
    code = outcome["crash"]
    if not isinstance(code, int):
        return f"cannot be imported within {PROBE_SECONDS} seconds"
    if code >= 0:
        return f"made Python exit when it was imported (exit code {code})"
    name = signal.Signals(-code).name
    reason = ": this processor probably lacks an instruction it needs, such as AVX" if name == "SIGILL" else ""
    return f"crashed when it was imported ({name}{reason})"
