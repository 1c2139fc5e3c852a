"""What can go wrong, as an admin is told it.

Every error that a command reports is one of these; its text is one sentence that names the file, row, column or
setting and what to do about it. ``status`` is the number Moodle receives (see :class:`Status`).

::

    BackendError                   status 1
    ├── UsageError                 arguments or settings that cannot be used
    ├── DataSetError               a file that cannot be read as a data set
    │   └── NoDataSetError         no file, or nothing in it; status 2
    ├── NotEnoughDataError         readable, but too little to learn from; status 8
    ├── NotTrainedError            no trained model in the directory; status 2
    ├── ModelError                 a stored model that is damaged, foreign or made for other columns
    ├── ArchiveError               a zip archive that cannot be let in
    ├── PackageError               a model package that cannot be imported here
    ├── StorageError               a directory that cannot be read, written or locked
    ├── BusyError                  another run works on the same thing
    ├── DeliveryError              a notification that cannot be sent now
    │   └── RefusedError           of this one only, now or for good
    ├── SiteError                  a Moodle site's tables that cannot be reached, read or analysed
    │   └── IndicatorError         an indicator that cannot be calculated for an analysable
    ├── ClusterError               a cluster that cannot be reached or used
    ├── InterruptedRunError        stopped by a signal
    └── RequestError               a request that the server refuses or cannot finish; has an HTTP status
"""

from __future__ import annotations

from enum import IntFlag
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Status(IntFlag):
    """Result of a command, a sum of bits; the same numbers on Moodle's side."""

    OK = 0
    GENERAL_ERROR = 1
    NO_DATASET = 2
    LOW_SCORE = 4
    NOT_ENOUGH_DATA = 8


class BackendError(Exception):
    """Base of every error whose text may be shown to an admin."""

    status = Status.GENERAL_ERROR


class UsageError(BackendError):
    """Arguments or settings that cannot be used."""


def unknown(kind: str, name: str, names: Iterable[str], otherwise: str) -> UsageError:
    """The error for a name that does not exist: it suggests the nearest of ``names``, else says ``otherwise``."""
    from difflib import get_close_matches

    spellings = {known.lower(): known for known in names}
    nearest = get_close_matches(name.lower(), spellings, 1)
    advice = f"did you mean {spellings[nearest[0]]}?" if nearest else otherwise
    return UsageError(f"There is no {kind} {name[:120]!r}; {advice}")


class DataSetError(BackendError):
    """A file that cannot be read as a data set."""


class NoDataSetError(DataSetError):
    """No data set file, or nothing in it."""

    status = Status.NO_DATASET


class NotEnoughDataError(BackendError):
    """A readable data set that is too little to learn from or to judge by."""

    status = Status.NOT_ENOUGH_DATA


class NotTrainedError(BackendError):
    """No trained model where one is needed."""

    status = Status.NO_DATASET


class ModelError(BackendError):
    """A stored model that is damaged, foreign, or made for other columns."""


class ArchiveError(BackendError):
    """A zip archive that cannot be let in; ``too_large`` when it has too many entries or bytes."""

    def __init__(self, text: str, *, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class PackageError(BackendError):
    """A model package that cannot be imported here."""


class StorageError(BackendError):
    """A directory that cannot be read, written or locked."""


class BusyError(BackendError):
    """Another run works on the same thing; it goes on, this one leaves it alone."""


class DeliveryError(BackendError):
    """A notification that cannot be sent now; it is tried again."""


class RefusedError(DeliveryError):
    """This notification is not taken; ``final`` when it never will be."""

    def __init__(self, text: str, *, final: bool = True) -> None:
        super().__init__(text)
        self.final = final


class SiteError(BackendError):
    """The tables of a Moodle site that cannot be reached, read or analysed."""


class IndicatorError(SiteError):
    """An indicator that cannot be calculated for an analysable, which is then left out."""


class ClusterError(BackendError):
    """A cluster that cannot be reached, has lost its workers, or cannot do the work."""


class InterruptedRunError(BackendError):
    """The run was stopped by a signal."""


class RequestError(BackendError):
    """A request that the server refuses or cannot finish.

    ``code`` is the HTTP status, ``retry_after`` the seconds after which it may be worth to ask again.
    """

    def __init__(self, text: str, code: int = 400, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.retry_after = retry_after
