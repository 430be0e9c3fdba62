"""Reads, reports taken, and no answer at all."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import ANY

from refund_bridge.adapters.dynamodb.checks import LedgerDefectError
from refund_bridge.adapters.dynamodb.keys import record_claim_key, refund_key
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.refusals import PAUSES_S
from refund_bridge.adapters.dynamodb.values import encode_item
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.unit.adapters.dynamodb_calls import (
    CHANGED,
    CLAIMED,
    CREATED,
    PAYMENT,
    REFUND,
    TOGETHER,
    TRIES,
    World,
    dynamodb_client,
    scripted_world,
)

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


@pytest.fixture(scope="module")
def client() -> Iterator["DynamoDBClient"]:
    with dynamodb_client() as made:
        yield made


@pytest.fixture
def world(client: "DynamoDBClient") -> Iterator[World]:
    with scripted_world(client) as made:
        yield made


# --- taking a check ----------------------------------------------------------------------------


def take(world: World) -> object:
    return world.ledger.take_check(REFUND.id, now_ms=1, until_ms=2)


def test_a_check_that_is_not_to_be_had_is_none(world: World) -> None:
    world.refuse("update_item", "ConditionalCheckFailedException", item={"write_id": "theirs"})
    assert take(world) is None
    world.refuse("update_item", "ConditionalCheckFailedException")
    assert take(world) is None


@pytest.mark.parametrize("code", ["TransactionConflictException", "ThrottlingException"])
def test_a_busy_refund_is_asked_for_again_and_then_unavailable(world: World, code: str) -> None:
    for _ in range(TRIES):
        world.refuse("update_item", code)
    with pytest.raises(LedgerUnavailableError):
        take(world)
    assert world.slept == list(PAUSES_S)


# --- reading ------------------------------------------------------------------------------------


_Read = Callable[[DynamoDbLedger], object]


@pytest.mark.parametrize(
    "read",
    [
        lambda ledger: ledger.refund("rfd_1"),
        lambda ledger: ledger.payment(PAYMENT.key),
        lambda ledger: ledger.payment_of_record("pr_1"),
        lambda ledger: ledger.look_up("rfd_1", None),
    ],
)
def test_a_read_is_consistent_and_without_an_answer_unavailable(world: World, read: _Read) -> None:
    expected = {"TableName": "ledger", "Key": ANY, "ConsistentRead": True}
    world.stub.add_response("get_item", {}, expected)
    read(world.ledger)
    world.refuse("get_item", "InternalServerError")
    with pytest.raises(LedgerUnavailableError):
        read(world.ledger)


def test_a_look_up_is_one_consistent_read(world: World) -> None:
    keys = [encode_item(refund_key("rfd_1")), encode_item(record_claim_key("pr_1"))]
    world.stub.add_response(
        "batch_get_item",
        {"Responses": {"ledger": []}},
        {"RequestItems": {"ledger": {"Keys": keys, "ConsistentRead": True}}},
    )
    world.ledger.look_up("rfd_1", "pr_1")


def test_keys_that_were_left_unread_are_asked_for_again(world: World) -> None:
    left: Any = {"ledger": {"Keys": [encode_item(record_claim_key("pr_1"))]}}
    claim = encode_item(record_claim_key("pr_1") | {"holder": "hitpay#charge_1"})
    world.stub.add_response("batch_get_item", {"UnprocessedKeys": left})
    world.stub.add_response(
        "batch_get_item",
        {"Responses": {"ledger": [claim]}},
        {"RequestItems": {"ledger": left["ledger"] | {"ConsistentRead": True}}},
    )
    known = world.ledger.look_up("rfd_1", "pr_1")
    assert known.payment is not None
    assert known.payment.charge_id == "charge_1"
    assert world.slept == list(PAUSES_S[:1])


def test_keys_that_are_never_read_make_no_answer(world: World) -> None:
    left: Any = {"ledger": {"Keys": [encode_item(record_claim_key("pr_1"))]}}
    for _ in range(TRIES):
        world.stub.add_response("batch_get_item", {"UnprocessedKeys": left})
    with pytest.raises(LedgerUnavailableError):
        world.ledger.look_up("rfd_1", "pr_1")
    assert world.slept == list(PAUSES_S)


def test_a_claim_that_names_no_payment_is_no_answer(world: World) -> None:
    world.stub.add_response("get_item", {"Item": encode_item({"holder": "nobody"})})
    with pytest.raises(LedgerUnavailableError):
        world.ledger.payment_of_record("pr_1")


# --- without DynamoDB ---------------------------------------------------------------------------


class Broken:
    """A client whose every call fails before any answer."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Callable[..., object]:
        def call(**_: object) -> object:
            raise self._error

        return call


@pytest.mark.parametrize(
    "error",
    [
        ReadTimeoutError(endpoint_url="https://dynamodb"),
        ConnectTimeoutError(endpoint_url="https://dynamodb"),
        EndpointConnectionError(endpoint_url="https://dynamodb"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_without_an_answer_nothing_is_known(error: Exception) -> None:
    broken: Any = Broken(error)
    ledger = DynamoDbLedger(broken, "ledger", sleep=lambda _: None)
    for commit in (CREATED, CHANGED, CLAIMED, TOGETHER):
        with pytest.raises(LedgerUnavailableError):
            ledger.commit(commit)
    with pytest.raises(LedgerUnavailableError):
        ledger.refund("rfd_1")
    with pytest.raises(LedgerUnavailableError):
        ledger.claimed("hitpay", ["hp_1"])
    with pytest.raises(LedgerUnavailableError):
        ledger.take_check("rfd_1", now_ms=1, until_ms=2)


def test_the_text_of_a_refused_request_is_not_repeated() -> None:
    broken: Any = Broken(ParamValidationError(report="Invalid value: 'a customer'"))
    with pytest.raises(LedgerDefectError) as defect:
        DynamoDbLedger(broken, "ledger").commit(CREATED)
    assert "customer" not in str(defect.value)
    assert defect.value.__cause__ is None
    assert defect.value.__suppress_context__
