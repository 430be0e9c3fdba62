"""A client of the Systems Manager that is answered from a script."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import boto3
from botocore.awsrequest import AWSResponse

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

PREFIX = "/refund-bridge/test"


class Stub:
    """Answers the client's calls in order. botocore's own insists on lists that are never empty."""

    def __init__(self) -> None:
        self.pause_s = 0.0
        self._expected: list[tuple[dict[str, Any], int, dict[str, Any]]] = []

    def add_response(self, answer: dict[str, Any], expected: dict[str, Any]) -> None:
        self._expected.append((expected, 200, answer))

    def add_client_error(self, code: str, expected: dict[str, Any]) -> None:
        self._expected.append((expected, 400, {"Error": {"Code": code}}))

    def assert_no_pending_responses(self) -> None:
        assert self._expected == []

    def answer(self, params: dict[str, Any], **_: Any) -> tuple[Any, dict[str, Any]]:
        time.sleep(self.pause_s)
        expected, status, answer = self._expected.pop(0)
        assert json.loads(params["body"]) == expected
        headers: Any = {}
        return AWSResponse("", status, headers, None), answer


@contextmanager
def scripted_client() -> Iterator[tuple["SSMClient", Stub]]:
    """A client and its script, all of which must have been used at the end."""
    client: SSMClient = boto3.session.Session().client(
        "ssm",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    script = Stub()
    events: Any = client.meta.events  # its stubs forbid the answer that it asks for
    events.register_first("before-call.ssm", script.answer)
    yield client, script
    client.close()
    script.assert_no_pending_responses()
