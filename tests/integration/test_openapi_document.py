"""Everybody can read the OpenAPI document, and its server is the stack that serves it."""

from urllib.parse import urljoin

from local.http_client import RefundApiClient
from local.stack import RunningStack
from tests.openapi.document import document


def test_anybody_can_read_the_document_and_call_by_it(stack: RunningStack) -> None:
    # When somebody without a key asks for the document
    nobody = RefundApiClient(stack.api_url, "rbk_nobody")
    answer = nobody.request("GET", "/v1/openapi.json")
    # Then it is the one of the repository
    assert answer.status == 200
    (server,) = answer.body.pop("servers")
    assert answer.body == {name: each for name, each in document().items() if name != "servers"}
    # And its server is where the other paths are
    base = urljoin(f"{stack.api_url}/v1/openapi.json", server["url"]).removesuffix("/")
    assert RefundApiClient(base, "rbk_nobody").request("GET", "/health").status == 200
