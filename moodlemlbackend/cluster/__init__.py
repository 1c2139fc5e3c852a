"""Work on many machines: a Dask cluster, reached by way of joblib.

::

    with using("tcp://scheduler:8786", "/shared/scratch"):   # or using("local:4")
        ...                                                  # what runs here finds the cluster by current()

A task is a function of this package and a few numbers. Its data are files (:mod:`.files`) in a directory or object
store that all machines reach; only their names go through the scheduler. Tasks calculate and write nothing else, so one
whose worker died is calculated again, and what is kept is written here, by the process that called the cluster.
"""

from moodlemlbackend.cluster.cluster import Cluster, current, using
from moodlemlbackend.cluster.files import Arrays, Files

__all__ = ["Arrays", "Cluster", "Files", "current", "using"]
