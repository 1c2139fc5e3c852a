"""Whether Moodle can work with this installation, and what to do where it cannot.

:func:`examine` looks at everything that has kept a site from its predictions: the Python that runs, the package as
Moodle calls it, limits, the processor and the libraries, the directories that are written to, the settings, and what
the analytics and the server rest on. Nothing of it is believed that can be tried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from moodlemlbackend.doctor import directories, installation, libraries, processes
from moodlemlbackend.doctor.finding import Finding, Level
from moodlemlbackend.doctor.services import check_services
from moodlemlbackend.errors import BackendError
from moodlemlbackend.settings.backend import Settings, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def examine(folder: Path | None = None) -> Iterator[Finding]:
    """Yield the findings one by one; ``folder`` is a model's directory, or one above, that must be writable."""
    yield installation.check_python()
    yield installation.check_user()
    yield from processes.check_limits()
    yield from processes.check_children()
    interpreter = processes.check_interpreter()
    yield interpreter
    settings = Settings()
    try:
        settings = load_settings()
    except BackendError as error:
        yield Finding(
            "Settings", Level.PROBLEM, str(error), "Correct it; until then, every command stops with this error."
        )
    else:
        yield from installation.check_settings(settings)
    instructions = libraries.check_instructions(settings)
    if interpreter.level is Level.OK:
        yield from installation.check_version()
        yield instructions
        yield from libraries.check_packages()
        yield libraries.check_tensorflow(settings, has_avx=instructions.level is Level.OK)
    else:
        yield instructions
    yield directories.check_temporary_folder()
    yield directories.check_home()
    yield directories.check_working_directory()
    if folder is not None:
        yield from directories.check_folder(folder)
    yield from check_services()
