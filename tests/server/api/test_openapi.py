"""Whatever the OpenAPI document allows, and much that it does not, is answered without an error of the server."""

from __future__ import annotations

import pytest

from fixtures.servers import LOGIN, served

schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
requests = pytest.importorskip("requests", reason="needs requests")
from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

from fixtures.paths import posix  # noqa: E402

pytestmark = posix
FEW = settings(
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def test_no_request_is_too_much_for_the_server(tmp_path):
    with served(tmp_path) as server, requests.Session() as session:
        document = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
        operations = [found.ok() for found in document.get_all_operations()]
        assert len(operations) == 11
        for operation in operations:
            check(operation, server.url, session)


def check(operation, url: str, session) -> None:
    """Send what the document allows for one operation."""

    @FEW
    @given(case=operation.as_strategy())
    def send(case) -> None:
        answer = case.call(base_url=url, auth=LOGIN, session=session)
        assert answer.status_code < 500, (operation.label, answer.text)
        assert "Traceback" not in answer.text

    send()
