"""Objects in JSON as PHP writes them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def to_json(values: Mapping[str, Any]) -> str:
    r"""An object as PHP's ``json_encode`` writes it: ``/`` as ``\/``, and floats by up to 17 digits."""
    return "{" + ",".join(f"{_text(key)}:{_value(value)}" for key, value in values.items()) + "}"


def _text(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


def _value(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, str):
        return _text(value)
    return f"{value:.17g}" if isinstance(value, float) else str(int(value))
