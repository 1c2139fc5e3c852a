"""The files that tasks of a cluster read and write: named arrays and facts, in a directory or an object store.

They are safetensors, which load without running code. A file is there whole or not at all.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodlemlbackend.errors import ClusterError
from moodlemlbackend.storage.object_store import open_shared

Arrays = Mapping[str, npt.NDArray[Any]]

_FACTS = ".facts"


class Files:
    """The files of one use of a cluster, below ``location``, a directory or a URL. It can be pickled."""

    def __init__(self, location: str) -> None:
        self.location = location
        self._objects = open_shared(location)

    def __reduce__(self) -> tuple[type[Files], tuple[str]]:
        return Files, (self.location,)

    @property
    def folder(self) -> Path | None:
        """The directory; None for an object store."""
        return None if "://" in self.location else Path(self.location)

    def write(self, facts: Mapping[str, Any], arrays: Arrays) -> str:
        """Write facts, which JSON can hold, and arrays; returns the file's name. StorageError when it cannot."""
        from safetensors.numpy import save

        name = uuid.uuid4().hex
        packed = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
        packed[_FACTS] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
        self._objects.put(name, save(packed))
        return name

    def read(self, name: str, *, last: bool = False) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        """Facts and arrays of a file, which goes if this is the ``last`` who reads it.

        Raises
        ------
        ClusterError
            It is not there: the place is another one on this machine.
        """
        from safetensors.numpy import load

        content = self._objects.read(name)
        if content is None:
            raise ClusterError(
                f"A file for the cluster is missing from {self._objects.name} on this machine: set cluster_files to a "
                "directory or an object store that this machine and all workers reach."
            )
        arrays = load(content)
        facts: dict[str, Any] = json.loads(arrays.pop(_FACTS).tobytes())
        if last:
            self.remove(name)
        return facts, arrays

    def remove(self, name: str) -> None:
        """Remove a file."""
        self._objects.remove([name])

    def remove_all(self) -> None:
        """Remove all of them and their folder."""
        self._objects.remove_tree("")
