"""Machine-learning backend for Moodle's learning analytics.

The names in ``__all__`` are its Python API. They are imported when they are first used: importing the package is cheap.
"""

import os
import sys


def _leave_working_directory() -> None:
    """Take the working directory out of ``sys.path``, where ``python -m`` has put it before all other places.

    There anybody's ``json.py`` would be imported in place of Python's. Of a checkout that is run where it lies, it
    becomes the last place.
    """
    try:
        directory = os.getcwd()  # noqa: PTH109  nothing may be imported yet
    except OSError:
        directory = ""
    if sys.path[0] in ("", directory) and not sys.flags.isolated and not getattr(sys.flags, "safe_path", False):
        del sys.path[0]
        if __path__[0] == f"{directory}{os.sep}{__name__}":
            sys.path.append(directory)


if sys.argv[:1] == ["-m"]:  # while Python looks for the module that it is to run
    _leave_working_directory()

__version__ = "3.1.0"

TYPE_CHECKING = False
if TYPE_CHECKING:
    from moodlemlbackend.api import (
        Evaluation,
        Model,
        evaluate,
        explain,
        explanation_figure,
        fit,
        load_model,
        read_dataset,
        splits,
        use_cluster,
        write_dataset,
    )
    from moodlemlbackend.dataset.data_set import DataSet
    from moodlemlbackend.errors import BackendError
    from moodlemlbackend.estimator import MoodleClassifier
    from moodlemlbackend.processor.explanation import Explanation, Explanations

__all__ = [
    "BackendError",
    "DataSet",
    "Evaluation",
    "Explanation",
    "Explanations",
    "Model",
    "MoodleClassifier",
    "evaluate",
    "explain",
    "explanation_figure",
    "fit",
    "load_model",
    "read_dataset",
    "splits",
    "use_cluster",
    "write_dataset",
]

if not TYPE_CHECKING:  # or every name would be of type object

    def __getattr__(name):
        """Import a name of the API from where it is at home."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        elsewhere = {"BackendError": "errors", "DataSet": "dataset.data_set", "MoodleClassifier": "estimator"}
        home = "processor.explanation" if name.startswith("Explanation") else elsewhere.get(name, "api")
        value = getattr(import_module(f"{__name__}.{home}"), name)
        globals()[name] = value
        return value

    def __dir__():
        """List the API beside what is loaded."""
        return sorted({*globals(), *__all__})
