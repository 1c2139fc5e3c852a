"""What every route that needs a login asks for, and what it may add to the request's line in the log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.security import HTTPBasic

from moodlemlbackend.errors import RequestError
from moodlemlbackend.server.auth.csrf import check_origin


class _Authorization(HTTPBasic):
    """The header as it is; :class:`.authenticator.Authenticator` judges it."""

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        return request.headers.get("authorization", "")


async def login(request: Request, authorization: Annotated[str, Depends(_Authorization())]) -> str:
    """Return the name of a user or of one of the people; RequestError of 401 or 429."""
    client = request.client.host if request.client else ""
    user: str = await request.app.state.authenticator.enter(authorization, client)
    logged(request)["user"] = user
    return user


AnyLogin = Annotated[str, Depends(login)]


async def user_login(request: Request, user: AnyLogin) -> str:
    """Return the user's name; RequestError also of 403 for people, who may see the pages of the site only.

    What changes something must not have been asked for by a page of another site, either.
    """
    if request.method == "POST":
        check_origin(request)
    if request.app.state.authenticator.is_person(user):
        raise RequestError(
            "This login is for the insights of the Moodle site, at /insights, and for nothing else.", 403
        )
    return user


UserLogin = Annotated[str, Depends(user_login)]


def logged(request: Request) -> dict[str, Any]:
    """Return what the request's line in the log says beside the usual."""
    facts: dict[str, Any] = request.scope["state"].setdefault("logged", {})
    return facts
