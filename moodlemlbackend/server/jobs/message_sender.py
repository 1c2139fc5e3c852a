"""Sends teachers' messages to students in the background; what is left when the server stops, the tasks send."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import suppress
from typing import TYPE_CHECKING

from moodlemlbackend.analytics.students import messages
from moodlemlbackend.errors import BackendError
from moodlemlbackend.server import limits

if TYPE_CHECKING:
    from moodlemlbackend.analytics.workspace import Workspace

log = logging.getLogger("moodlemlbackend.server")


class MessageSender:
    """A few threads that send messages; one object for the server."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(limits.SENDERS, "sender")
        self._stopping = False

    def send(self, workspace: Workspace, batch: str, seconds: float = limits.SENDING_SECONDS) -> None:
        """Send what was written down at once; it goes on in the background after some seconds."""
        pending = self._threads.submit(self._send, workspace, batch)
        with suppress(NotYet):
            pending.result(seconds)

    def close(self) -> None:
        """Begin no further message."""
        self._stopping = True
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _send(self, workspace: Workspace, batch: str) -> None:
        try:
            done = messages.deliver(workspace, batch, lambda: self._stopping)
        except BackendError as error:
            log.error("Messages to students cannot be sent", extra={"fault": type(error).__name__})
            return
        if done.problems:
            facts = {"sent": done.sent, "waiting": done.waiting, "given_up": done.given_up}
            log.warning("Messages to students were not all sent", extra=facts)
