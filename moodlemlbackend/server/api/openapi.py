"""What the OpenAPI document says of Moodle's calls, whose forms the server reads itself."""

from __future__ import annotations

from typing import Any

from fastapi.responses import PlainTextResponse, Response

from moodlemlbackend.operations.trained_models import MODEL_ID
from moodlemlbackend.server.jobs.job import DIRHASH

ABOUT = (
    "The server mode of Moodle's learning analytics. Every answer but 200 is one sentence of plain text; "
    "every one but those of version, health and this document needs HTTP Basic."
)

_DESCRIPTIONS = {
    400: "A field or a file cannot be used",
    401: "No user name and password, or not the right ones",
    404: "There is no such model or run",
    408: "Nothing more of the upload came",
    413: "The request brings more than the server takes",
    415: "The body is no form",
    429: "Too many failed logins",
    500: "The work failed",
    503: "Too much to do, or the server is being stopped; see Retry-After",
    504: "The work took too long",
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
    "evaluation": "Judge what can be learned from samples, or a trained model",
    "evaluationlog": "The log folder of an evaluation",
    "export": "The trained model, for another site",
    "import": "Put an exported model in force",
    "deletemodel": "Remove everything of a model id",
}

_RESULT = {
    "type": "object",
    "required": ["status", "info"],
    "properties": {
        "status": {
            "type": "integer",
            "description": "0, or a sum of 1 error, 2 no data, 4 low score, 8 too little data",
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
            200: {"description": "What the work came to", "content": content},
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
