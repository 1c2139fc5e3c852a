"""Model packages: a zip with a model's configuration and, on request, what it has learned, as Moodle exchanges them.

::

    model-config.json   target, interval, indicators, processor, and the versions of the components they belong to
    mlbackend/          the trained model, as the processor exports it: no sample and no time is in it

Nothing in a package says from which site it comes.
"""

from __future__ import annotations

import json
import tempfile
import zipfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodlemlbackend.analytics import models
from moodlemlbackend.analytics.db import dataset_files, facts, unfinished
from moodlemlbackend.analytics.db import models as rows_of_models
from moodlemlbackend.analytics.features import definitions, registry
from moodlemlbackend.analytics.lifecycle.core_models import MODULES_FACT
from moodlemlbackend.analytics.site.components import plugin_versions
from moodlemlbackend.errors import NotTrainedError, PackageError, UsageError
from moodlemlbackend.files import replacing, storage_errors
from moodlemlbackend.runtime.progress import QuietReporter
from moodlemlbackend.settings.backend import load_settings
from moodlemlbackend.storage import archives

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from moodlemlbackend.analytics.models import AnalyticsModel
    from moodlemlbackend.analytics.site import Site
    from moodlemlbackend.analytics.workspace import Workspace

CONFIGURATION = "model-config.json"
WEIGHTS = "mlbackend"
PYTHON_PROCESSOR, PHP_PROCESSOR = "\\mlbackend_python\\processor", "\\mlbackend_php\\processor"
"""Moodle's names of its two processors; each of ours is the first one to Moodle."""

CONFIGURATION_BYTES = 1 << 20
NO_TIME = "1970-01-01T00:00:00+00:00"
_ENTRY_TIME = (1980, 1, 1, 0, 0, 0)
_COMPONENTS = "components"


@dataclass(frozen=True)
class Package:
    """What a package holds that has been looked at.

    Attributes
    ----------
    learned
        The folder with what the model has learned, None where that is not in it.
    of_php
        Whether Moodle's PHP processor trained it.
    notes
        What was noticed.
    alike
        The models of the same target, indicators and interval that there are.
    """

    target: str
    interval: str
    indicators: Sequence[str]
    learned: Path | None
    of_php: bool
    notes: list[str]
    alike: Sequence[AnalyticsModel]


@dataclass(frozen=True)
class Imported:
    """A model that came in a package, and what was noticed."""

    model: AnalyticsModel
    notes: list[str]


def remember_components(workspace: Workspace, site: Site) -> dict[str, int]:
    """Note the site's components and activities, for what is done without the site at hand."""
    versions = {"core": int(site.version)}
    versions |= {plugin: int(float(value)) for plugin, value in plugin_versions(site).items() if _is_number(value)}
    current = {_COMPONENTS: versions, MODULES_FACT: sorted(site.modules)}
    with workspace.store.read() as connection:
        changed = {name: value for name, value in current.items() if facts.read(connection, name) != value}
    if changed:
        with workspace.store.write() as connection:
            for name, value in changed.items():
                facts.write(connection, name, value)
    return versions


def export_model(workspace: Workspace, modelid: int, archive: Path, *, weights: bool = True) -> None:
    """Write a model's package.

    Raises
    ------
    UsageError
        The model is static, or has no interval or no indicators.
    NotTrainedError
        What it has learned is asked for, and it has learned nothing.
    """
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
        versions = facts.read(connection, _COMPONENTS) or {}
        modules = facts.read(connection, MODULES_FACT)
    if model.static:
        raise UsageError(f"Model {modelid} is rule-based, so there is nothing to export.")
    if not model.interval or not model.indicators:
        raise UsageError(f"Model {modelid} cannot be exported without an interval and indicators.")
    if absent := _absent(model.indicators, modules):
        if weights:
            raise UsageError(
                f"Model {modelid} has indicators for activities that the site does not have "
                f"({', '.join(absent)}), so a similar Moodle site could not import what it has learned; leave "
                "them out and train it again, or export only its configuration."
            )
        kept = tuple(indicator for indicator in model.indicators if not _absent([indicator], modules))
        model = replace(model, indicators=kept)
    if weights and not model.trained:
        raise NotTrainedError(f"Model {modelid} has not been trained yet; train it, or export only its configuration.")
    with tempfile.TemporaryDirectory(prefix="moodlemlbackend-") as scratch:
        folder = Path(scratch)
        (folder / "package").mkdir()
        configuration = json.dumps(_configuration(model, versions), indent=1)
        (folder / "package" / CONFIGURATION).write_text(configuration, encoding="ascii")
        if weights:
            _export_weights(workspace, model, folder)
        with replacing(archive) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as file:
            for path in sorted((folder / "package").rglob("*")):
                if path.is_file():
                    entry = zipfile.ZipInfo(path.relative_to(folder / "package").as_posix(), _ENTRY_TIME)
                    entry.external_attr = 0o644 << 16
                    entry.compress_type = zipfile.ZIP_DEFLATED
                    file.writestr(entry, path.read_bytes())


@contextmanager
def opened(workspace: Workspace, archive: Path, *, ignore_versions: bool = False) -> Iterator[Package]:
    """Unpack a package and look at it, without changing anything; errors as of :func:`import_model`."""
    with tempfile.TemporaryDirectory(prefix="moodlemlbackend-") as scratch:
        folder = Path(scratch) / "package"
        with storage_errors(archive):
            archive.stat()
        archives.unpack(archive, folder)
        configuration = _read_configuration(folder)
        with workspace.store.read() as connection:
            known = facts.read(connection, _COMPONENTS) or {}
            modules = facts.read(connection, MODULES_FACT)
        notes = _check(configuration, known, ignore_versions=ignore_versions)
        if absent := _absent(configuration["indicators"], modules):
            raise PackageError(
                f"The package has indicators for activities that the site does not have: {', '.join(absent)}; "
                "export it again without them."
            )
        learned = folder / WEIGHTS
        yield Package(
            configuration["target"],
            configuration["timesplitting"],
            configuration["indicators"],
            learned if learned.is_dir() else None,
            configuration["processor"] == PHP_PROCESSOR,
            notes,
            _alike(workspace, configuration),
        )


def import_model(
    workspace: Workspace,
    archive: Path,
    *,
    name: str = "",
    weights: bool = True,
    ignore_versions: bool = False,
    agree: Callable[[Sequence[AnalyticsModel]], None] | None = None,
) -> Imported:
    """Make a model, disabled, of a package that this package or Moodle exported; trained if what it learned came along.

    ``agree`` is called with the models alike that there are, of the same target, indicators and interval, if any; when
    it raises, no model is made.

    Raises
    ------
    ArchiveError, PackageError
        The file is no package, or needs components or classes that are not here.
    ModelError
        The trained model in it cannot be used.
    """
    with opened(workspace, archive, ignore_versions=ignore_versions) as package:
        wanted = weights and package.learned is not None
        if wanted and package.of_php:
            raise PackageError(
                "This model was trained by Moodle's PHP processor, which cannot be used here; import it "
                "without weights and train it."
            )
        if agree and package.alike:
            agree(package.alike)
        with ExitStack() as lock:
            with workspace.store.write() as connection:
                model = models.insert(
                    connection,
                    workspace,
                    package.target,
                    package.indicators,
                    interval=package.interval,
                    processor="logistic_regression" if package.of_php else None,
                    name=name,
                )
                if wanted:
                    lock.enter_context(workspace.lock(model.id))
                    unfinished.begin_import(connection, model.id)
            if wanted and package.learned:
                model = _import_weights(workspace, model, package.learned)
        return Imported(model, package.notes)


def export_training_data(workspace: Workspace, modelid: int, target: Path) -> int:
    """Write all that a model was trained with on this site to one file, without any sample's id; returns the rows."""
    with workspace.store.read() as connection:
        model = models.get(connection, modelid)
        if model.static:
            raise UsageError(f"Model {modelid} is rule-based: it has no training data.")
        files = (
            dataset_files.of_analysables(connection, workspace, model, dataset_files.LABELLED, model.interval)
            if model.interval
            else []
        )
    if not files:
        raise NotTrainedError(f"Model {modelid} has no training data from this site yet; train it first.")
    with replacing(target) as new:
        dataset_files.join([file.path for file in files], new)
    return sum(file.rows for file in files)


def _alike(workspace: Workspace, configuration: Mapping[str, Any]) -> list[AnalyticsModel]:
    """The models of the same target, indicators and interval."""
    wanted = set(configuration["indicators"]), configuration["timesplitting"]
    with workspace.store.read() as connection:
        of_target = models.listed(connection, target=configuration["target"])
    return [model for model in of_target if (set(model.indicators), model.interval) == wanted]


def _absent(indicators: Iterable[str], modules: Collection[str] | None) -> list[str]:
    """The activities of indicators that the site, if it was seen yet, does not have."""
    return [] if modules is None else registry.absent_modules(indicators, modules)


def _configuration(model: AnalyticsModel, versions: Mapping[str, int]) -> dict[str, Any]:
    components = {definitions.component(element) for element in (model.target, model.interval or "", *model.indicators)}
    components.add(definitions.component(PYTHON_PROCESSOR))
    return {
        "target": model.target,
        "timesplitting": model.interval,
        "indicators": [*model.indicators],
        "processor": PYTHON_PROCESSOR,
        "dependencies": {name: versions[name] for name in sorted(components) if name in versions},
    }


def _export_weights(workspace: Workspace, model: AnalyticsModel, folder: Path) -> None:
    from moodlemlbackend.operations.transfer import export_model
    from moodlemlbackend.storage.stored_model import read_model

    export_model(
        QuietReporter(),
        workspace.unique_id(model),
        str(workspace.executiondir(model)),
        str(folder / "exported"),
        settings=load_settings(),
    )
    read_model(folder / "exported").copy_to(folder / "package" / WEIGHTS, created=NO_TIME)


def _import_weights(workspace: Workspace, model: AnalyticsModel, learned: Path) -> AnalyticsModel:
    from moodlemlbackend.operations.transfer import import_model

    try:
        import_model(
            QuietReporter(),
            workspace.unique_id(model),
            str(workspace.executiondir(model)),
            str(learned),
            settings=load_settings(),
        )
    except BaseException:
        models.remove_locked(workspace, model.id)
        raise
    with workspace.store.write() as connection:
        unfinished.end_import(connection, model.id)
        rows_of_models.set_trained(connection, model.id)
        return models.get(connection, model.id)


def _read_configuration(folder: Path) -> dict[str, Any]:
    path = folder / CONFIGURATION
    try:
        if path.stat().st_size > CONFIGURATION_BYTES:
            raise ValueError("it is too large")
        content = json.loads(path.read_bytes())
        if not isinstance(content, dict):
            raise TypeError("it is not an object")
        for key in ("target", "timesplitting"):
            if not isinstance(content.get(key), str) or not content[key]:
                raise ValueError(f"{key} is missing")
        indicators = content.get("indicators")
        if not isinstance(indicators, list) or not indicators or not all(isinstance(name, str) for name in indicators):
            raise ValueError("indicators are missing")
    except FileNotFoundError:
        raise PackageError(f"The archive is not a model package: it has no {CONFIGURATION}.") from None
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise PackageError(
            f"The {CONFIGURATION} of the package cannot be used ({error}); export the model again."
        ) from error
    dependencies = content.get("dependencies")
    return {
        "target": content["target"],
        "timesplitting": content["timesplitting"],
        "indicators": list(dict.fromkeys(indicators)),
        "processor": content.get("processor"),
        "dependencies": dependencies if isinstance(dependencies, dict) else {},
    }


def _check(configuration: dict[str, Any], known: Mapping[str, int], *, ignore_versions: bool) -> list[str]:
    """Raise PackageError for what is missing here or, unless ignored, of another version; returns notes."""
    missing = definitions.missing(
        [configuration["target"], configuration["timesplitting"], *configuration["indicators"]]
    )
    needed = {name: version for name, version in configuration["dependencies"].items() if _is_number(version)}
    needed = {name: int(float(version)) for name, version in needed.items() if not name.startswith("mlbackend_")}
    if known:
        absent = [name for name in needed if name not in known]
        if absent:
            raise PackageError(f"The package needs components that the site does not have: {_shown(absent, needed)}.")
        differing = [name for name, version in needed.items() if known[name] != version]
        if differing and not ignore_versions:
            raise PackageError(
                f"The package was made with versions that differ from the site's: {_shown(differing, needed)}; "
                "if that does not matter, import it with --ignore-versions."
            )
    if missing:
        raise PackageError(f"The package needs classes that are not installed here: {', '.join(missing)}.")
    return (
        []
        if known or not needed
        else ["The versions of the package's components were not compared, because no site has been read yet."]
    )


def _shown(names: Iterable[str], versions: Mapping[str, int]) -> str:
    return ", ".join(f"{'Moodle' if name == 'core' else name} ({versions[name]})" for name in sorted(names))


def _is_number(value: Any) -> bool:
    try:
        return 0 <= float(value) < 1e15
    except (TypeError, ValueError, OverflowError):
        return False
