"""joblib's Dask backend, with what it lacks when workers or the scheduler go.

joblib 1.6 waits for ever for a task that Dask has given up: nobody is called back then. Here the caller gets the error;
so too when the scheduler is gone, or when there has been no worker for a while.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from joblib._dask import DaskDistributedBackend

LOOK_SECONDS = 1.0


class GoneError(Exception):
    """The scheduler does not answer any more, or has forgotten the tasks."""


class AloneError(Exception):
    """The scheduler has had no worker for too long."""


class Backend(DaskDistributedBackend):  # type: ignore[misc]  # joblib has no types
    """The backend; ``patience`` is how many seconds the cluster may be without a worker or an answer."""

    def __init__(self, client: Any, patience: float) -> None:
        super().__init__(client=client, wait_for_workers_timeout=patience)
        self._patience = patience

    async def _collect(self) -> None:
        watch = asyncio.ensure_future(self._watch())
        try:
            while self._continue:
                async for future, result in self.waiting_futures:
                    if future.status == "finished":
                        self._answer(future, result)
                    elif future.status == "error":
                        self._answer(future, result[1])
                    else:
                        self._answer(future, GoneError())
                await asyncio.sleep(0.01)
        finally:
            watch.cancel()

    async def _watch(self) -> None:
        """Give the tasks up when no worker has been there, or no scheduler, for too long.

        An answer that is late may be so because this machine was halted; it is asked for once more.
        """
        since, missed = time.monotonic(), 0
        while self._continue:
            try:
                cores = await asyncio.wait_for(self.client.scheduler.ncores(), self._patience)
            except (OSError, asyncio.TimeoutError):
                missed += 1
            else:
                missed = 0
                if cores or not self._callbacks:
                    since = time.monotonic()
            if time.monotonic() - since >= self._patience and missed != 1:
                error = GoneError if missed else AloneError
                for future in list(self._callbacks):
                    self._answer(future, error())
            await asyncio.sleep(LOOK_SECONDS)

    def _answer(self, future: Any, result: Any) -> None:
        self._results.pop(future, None)
        callback = self._callbacks.pop(future, None)
        if callback is not None:
            callback(result)

    def abort_everything(self, ensure_ready: bool = True) -> None:
        """Let go of all tasks, so that the scheduler forgets them."""
        super().abort_everything(ensure_ready=ensure_ready)
        self._results.clear()
        self._callbacks.clear()
