"""What the OpenAPI document says of Moodle's calls, whose forms the server reads itself."""

from __future__ import annotations

from typing import Any

from fastapi.responses import PlainTextResponse, Response

from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.server.jobs.job import DIRHASH

ABOUT = (
    "The server mode of Moodle's learning analytics. Every response other than 200 is one sentence of plain "
    "text. All addresses except version, health and this document require HTTP Basic authentication."
)

_DESCRIPTIONS = {
    400: "A field or file cannot be used",
    401: "User name and password are missing or wrong",
    404: "There is no such model or run",
    408: "The upload stopped",
    413: "The request is larger than the server accepts",
    415: "The body is not a form",
    429: "Too many failed logins",
    500: "The job failed",
    503: "The server has too much to do or is being stopped; see Retry-After",
    504: "The job took too long",
    507: "The server has no room for the upload",
}

_ID = {"type": "string", "pattern": f"^{MODEL_ID.pattern}$", "description": "Moodle's id of the model"}
_HASH = {"type": "string", "pattern": f"^{DIRHASH.pattern}$", "description": "md5 of Moodle's output directory"}
_FILE = {"type": "string", "format": "binary"}
_NUMBER = {"type": "number", "minimum": 0, "maximum": 999999}

_FORMS: dict[str, dict[str, dict[str, Any]]] = {
    "training": {"uniqueid": _ID, "dirhash": _HASH, "dataset": _FILE},
    "prediction": {"uniqueid": _ID, "dirhash": _HASH, "dataset": _FILE},
    "evaluation": {
        "uniqueid": _ID,
        "dirhash": _HASH,
        "dataset": _FILE,
        "minscore": _NUMBER,
        "maxdeviation": _NUMBER,
        "niterations": {"type": "integer", "minimum": 1, "maximum": 1000},
        "trainedmodeldirhash": _HASH,
    },
    "import": {"uniqueid": _ID, "dirhash": _HASH, "importzip": _FILE},
    "deletemodel": {"uniqueid": _ID},
}
_OPTIONAL = {"trainedmodeldirhash"}

_SUMMARIES = {
    "training": "Train a model, or continue training one",
    "prediction": "Predict samples",
    "evaluation": "Evaluate a trained model, or what can be learned from samples",
    "evaluationlog": "The log folder of an evaluation",
    "export": "The trained model, for another site",
    "import": "Start using an exported model",
    "deletemodel": "Remove everything that belongs to a model id",
}

_RESULT = {
    "type": "object",
    "required": ["status", "info"],
    "properties": {
        "status": {
            "type": "integer",
            "description": "0, or the sum of 1 (error), 2 (no data), 4 (low score) and 8 (too little data)",
        },
        "info": {"type": "array", "items": {"type": "string"}},
        "runid": {"type": ["integer", "string"]},
        "predictions": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
        "score": {"type": "number"},
    },
}


def errors(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Describe answers of plain text."""
    content = {"text/plain": {"schema": {"type": "string"}}}
    return {code: {"description": _DESCRIPTIONS[code], "content": content} for code in codes}


def call(kind: str) -> dict[str, Any]:
    """Arguments for the route of one of Moodle's calls."""
    if kind in ("training", "prediction", "evaluation"):
        content: dict[str, Any] = {"application/json": {"schema": _RESULT}}
    elif kind in ("evaluationlog", "export"):
        content = {"application/zip": {"schema": _FILE}}
    else:
        content = {"text/plain": {"schema": {"type": "string"}}}
    described: dict[str, Any] = {
        "tags": ["Moodle"],
        "summary": _SUMMARIES[kind],
        "response_class": PlainTextResponse if "text/plain" in content else Response,
        "responses": {
            200: {"description": "The result", "content": content},
            **errors(400, 401, 404, 408, 413, 415, 429, 500, 503, 504, 507),
        },
    }
    if kind in _FORMS:
        fields = _FORMS[kind]
        schema = {
            "type": "object",
            "properties": fields,
            "required": [name for name in fields if name not in _OPTIONAL],
        }
        described["openapi_extra"] = {
            "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}
        }
    return described
