"""What every route that needs a login asks for, and what it may add to the request's line in the log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic


class _Authorization(HTTPBasic):
    """The header as it is; :class:`.auth.Gate` judges it."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        return request.headers.get("authorization", "")


async def login(request: Request, authorization: Annotated[str, Depends(_Authorization())]) -> str:
    """Return the user's name; RequestError of 401 or 429."""
    client = request.client.host if request.client else ""
    user: str = await request.app.state.gate.enter(authorization, client)
    logged(request)["user"] = user
    return user


User = Annotated[str, Depends(login)]


def logged(request: Request) -> dict[str, Any]:
    """Return what the request's line in the log says beside the usual."""
    found: dict[str, Any] = request.scope["state"].setdefault("logged", {})
    return found
