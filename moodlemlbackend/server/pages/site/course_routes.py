"""Addresses of the pages of a course's students."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import FastAPI


def add_course_pages(app: FastAPI) -> None:
    """Add the pages that teachers of a course have."""
