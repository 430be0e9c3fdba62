import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.stub import Stubber

from refund_bridge.adapters.sqs.doorbell import PoisonMessageError, SqsDoorbell, parse_doorbell
from refund_bridge.ports.queues import DoorbellError

URL = "https://sqs/queue"


def sqs() -> Any:
    return boto3.session.Session().client(
        "sqs",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


def test_a_message_holds_the_id_and_nothing_else() -> None:
    body = '{"refund_id": "rfd_1", "schema_version": 1}'
    client = sqs()
    with Stubber(client) as stub:
        stub.add_response(
            "send_message", {"MessageId": "1"}, {"QueueUrl": URL, "MessageBody": body}
        )
        SqsDoorbell(client, URL).ring("rfd_1")
        stub.assert_no_pending_responses()
    client.close()
    assert parse_doorbell(body) == "rfd_1"


def test_a_refused_message_may_not_have_been_queued() -> None:
    client = sqs()
    with Stubber(client) as stub:
        stub.add_client_error("send_message", "AccessDenied")
        with pytest.raises(DoorbellError):
            SqsDoorbell(client, URL).ring("rfd_1")
    client.close()


def test_an_unanswered_message_may_not_have_been_queued() -> None:
    class Silent:
        def send_message(self, **_: object) -> None:
            raise ReadTimeoutError(endpoint_url=URL)

    silent: Any = Silent()
    with pytest.raises(DoorbellError):
        SqsDoorbell(silent, URL).ring("rfd_1")


@pytest.mark.parametrize(
    "message",
    [
        {"refund_id": "rfd_1", "schema_version": 2},
        {"refund_id": "rfd_1", "schema_version": 1, "later": {"a": 1}},
    ],
)
def test_a_newer_release_is_understood(message: dict[str, Any]) -> None:
    assert parse_doorbell(json.dumps(message)) == "rfd_1"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "rfd_1",
        "{",
        "[" * 100_000,
        "null",
        '["rfd_1"]',
        '"rfd_1"',
        "{}",
        '{"refund_id": "rfd_1"}',
        '{"refund_id": "rfd_1", "schema_version": "1"}',
        '{"refund_id": "rfd_1", "schema_version": true}',
        '{"refund_id": "rfd_1", "schema_version": 1.5}',
        '{"refund_id": "rfd_1", "schema_version": 0}',
        '{"schema_version": 1}',
        '{"refund_id": "", "schema_version": 1}',
        '{"refund_id": 7, "schema_version": 1}',
        json.dumps({"refund_id": "x" * 256, "schema_version": 1}),
    ],
)
def test_poison_is_told_without_repeating_it(body: str) -> None:
    with pytest.raises(PoisonMessageError) as poison:
        parse_doorbell(body)
    assert "rfd_1" not in str(poison.value)
    assert poison.value.__suppress_context__ or poison.value.__context__ is None
