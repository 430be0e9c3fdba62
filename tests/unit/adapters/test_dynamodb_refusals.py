"""What each refusal of DynamoDB becomes; the emulator never makes most of them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    ParamValidationError,
    ReadTimeoutError,
)
from botocore.stub import ANY, Stubber

from refunds.adapters.attribute_values import encode_item
from refunds.adapters.dynamodb_ledger import DynamoDbLedger
from refunds.adapters.dynamodb_refusals import PAUSES_S
from refunds.adapters.ledger_checks import LedgerDefectError
from refunds.adapters.ledger_keys import record_claim_key, refund_key
from refunds.ports import (
    ClaimConflictError,
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
    MovementClaim,
    PaymentWrite,
    RefundWrite,
)
from tests.contract.ledger.examples import a_payment, a_refund_of, stored

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

TRIES = len(PAUSES_S) + 1

PAYMENT = a_payment()
REFUND = a_refund_of(PAYMENT)
CLAIM = MovementClaim("hitpay", "hp_1", REFUND.id)
TOGETHER = Commit(
    refunds=(RefundWrite(None, REFUND),),
    payments=(PaymentWrite(None, PAYMENT),),
    claims=(CLAIM,),
)
CREATED = Commit(refunds=(RefundWrite(None, REFUND),))
CHANGED = Commit(refunds=(RefundWrite(stored(REFUND, 1), stored(REFUND, 1)),))
CLAIMED = Commit(claims=(CLAIM,))

FAILED, CONFLICT, NONE = "ConditionalCheckFailed", "TransactionConflict", "None"
THROTTLING = ["ThrottlingError", "ProvisionedThroughputExceeded"]
THROTTLED = [
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "Throttling",
    "ThrottlingException",
]


@dataclass
class World:
    stub: Stubber
    ledger: DynamoDbLedger
    slept: list[float] = field(default_factory=list)

    def cancel(self, *reasons: str) -> None:
        self.stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": reason} for reason in reasons]},
        )

    def refuse(self, method: str, code: str, *, copies: int = 0, item: Any = None) -> None:
        self.stub.add_client_error(
            method,
            code,
            response_meta={"RetryAttempts": copies},
            modeled_fields={} if item is None else {"Item": encode_item(item)},
        )


@pytest.fixture(scope="module")
def client() -> Iterator["DynamoDBClient"]:
    made: DynamoDBClient = boto3.session.Session().client(
        "dynamodb",
        region_name="ap-southeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    yield made
    made.close()


@pytest.fixture
def world(client: "DynamoDBClient") -> Iterator[World]:
    slept: list[float] = []
    ledger = DynamoDbLedger(
        client, "ledger", sleep=slept.append, random=lambda: 0.0, new_write_id=lambda: "mine"
    )
    with Stubber(client) as stub:
        yield World(stub, ledger, slept)
        stub.assert_no_pending_responses()


# --- transactions -------------------------------------------------------------------------------


def test_every_try_is_the_same_transaction(world: World) -> None:
    expected = {"TransactItems": ANY, "ClientRequestToken": "mine"}
    for _ in range(2):
        world.stub.add_client_error(
            "transact_write_items",
            "TransactionCanceledException",
            modeled_fields={"CancellationReasons": [{"Code": CONFLICT}]},
            expected_params=expected,
        )
    world.stub.add_response("transact_write_items", {}, expected)
    world.ledger.commit(TOGETHER)


@pytest.mark.parametrize("reasons", [(FAILED, NONE, NONE), (NONE, FAILED, NONE)])
def test_a_failed_condition_is_a_conflict_at_once(world: World, reasons: tuple[str, ...]) -> None:
    world.cancel(*reasons)
    with pytest.raises(LedgerConflictError) as refused:
        world.ledger.commit(TOGETHER)
    assert not isinstance(refused.value, ClaimConflictError)
    assert world.slept == []


@pytest.mark.parametrize(
    "reasons",
    [(NONE, NONE, FAILED), (FAILED, FAILED, FAILED), (CONFLICT, "ThrottlingError", FAILED)],
)
def test_a_failed_claim_is_a_conflict_over_the_claim_at_once(
    world: World, reasons: tuple[str, ...]
) -> None:
    world.cancel(*reasons)
    with pytest.raises(ClaimConflictError) as refused:
        world.ledger.commit(TOGETHER)
    assert refused.value.claim == CLAIM
    assert world.slept == []


def test_a_failed_condition_beside_a_busy_item_is_a_conflict_at_once(world: World) -> None:
    world.cancel(FAILED, CONFLICT, "ThrottlingError")
    with pytest.raises(LedgerConflictError):
        world.ledger.commit(TOGETHER)
    assert world.slept == []


def test_a_transaction_conflict_is_tried_again_and_then_a_conflict(world: World) -> None:
    for _ in range(TRIES):
        world.cancel(NONE, CONFLICT, NONE)
    with pytest.raises(LedgerConflictError) as refused:
        world.ledger.commit(TOGETHER)
    assert not isinstance(refused.value, ClaimConflictError)
    assert world.slept == list(PAUSES_S)


@pytest.mark.parametrize("reason", THROTTLING)
def test_a_throttled_transaction_is_tried_again_and_then_unavailable(
    world: World, reason: str
) -> None:
    for _ in range(TRIES):
        world.cancel(reason, NONE, NONE)
    with pytest.raises(LedgerUnavailableError):
        world.ledger.commit(TOGETHER)
    assert world.slept == list(PAUSES_S)


def test_a_busy_moment_passes(world: World) -> None:
    for reasons in ((CONFLICT, NONE, "ThrottlingError"), (NONE, THROTTLING[1], NONE)):
        world.cancel(*reasons)
    world.refuse("transact_write_items", "TransactionInProgressException")
    world.stub.add_response("transact_write_items", {})
    world.ledger.commit(TOGETHER)
    assert len(world.slept) == 3


def test_our_own_transaction_in_progress_leaves_it_open_whether_it_was_written(
    world: World,
) -> None:
    for _ in range(TRIES):
        world.refuse("transact_write_items", "TransactionInProgressException")
    with pytest.raises(LedgerUnavailableError):
        world.ledger.commit(TOGETHER)


@pytest.mark.parametrize(
    "reason", ["ValidationError", "ItemCollectionSizeLimitExceeded", "DuplicateItem"]
)
def test_an_invalid_transaction_is_a_defect(world: World, reason: str) -> None:
    world.cancel(NONE, reason, CONFLICT)
    with pytest.raises(LedgerDefectError):
        world.ledger.commit(TOGETHER)
    assert world.slept == []


@pytest.mark.parametrize("reason", ["NeverHeardOf", "AccessDenied"])
def test_a_reason_that_is_not_known_is_unavailable(world: World, reason: str) -> None:
    world.cancel(NONE, reason, NONE)
    with pytest.raises(LedgerUnavailableError):
        world.ledger.commit(TOGETHER)
    assert world.slept == []


def test_a_cancellation_without_reasons_is_unavailable(world: World) -> None:
    world.refuse("transact_write_items", "TransactionCanceledException")
    with pytest.raises(LedgerUnavailableError):
        world.ledger.commit(TOGETHER)


# --- single writes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("commit", "method"),
    [(CREATED, "put_item"), (CHANGED, "update_item"), (CLAIMED, "update_item")],
    ids=["created", "changed", "claimed"],
)
class TestSingleWrites:
    def test_a_failed_condition_is_a_conflict(
        self, world: World, commit: Commit, method: str
    ) -> None:
        world.refuse(method, "ConditionalCheckFailedException")
        with pytest.raises(LedgerConflictError) as refused:
            world.ledger.commit(commit)
        assert isinstance(refused.value, ClaimConflictError) == bool(commit.claims)
        assert world.slept == []

    def test_a_transaction_conflict_is_tried_again_and_then_a_conflict(
        self, world: World, commit: Commit, method: str
    ) -> None:
        for _ in range(TRIES):
            world.refuse(method, "TransactionConflictException")
        with pytest.raises(LedgerConflictError):
            world.ledger.commit(commit)
        assert world.slept == list(PAUSES_S)

    def test_a_conflict_after_an_unanswered_copy_is_not_certain(
        self, world: World, commit: Commit, method: str
    ) -> None:
        world.refuse(method, "TransactionConflictException", copies=1)
        for _ in range(TRIES - 1):
            world.refuse(method, "TransactionConflictException")
        with pytest.raises(LedgerUnavailableError):
            world.ledger.commit(commit)

    @pytest.mark.parametrize("code", THROTTLED)
    def test_throttling_is_tried_again_and_then_unavailable(
        self, world: World, commit: Commit, method: str, code: str
    ) -> None:
        for _ in range(TRIES):
            world.refuse(method, code)
        with pytest.raises(LedgerUnavailableError):
            world.ledger.commit(commit)
        assert world.slept == list(PAUSES_S)

    @pytest.mark.parametrize(
        "code", ["InternalServerError", "ServiceUnavailable", "AccessDeniedException", "New"]
    )
    def test_every_other_error_is_unavailable(
        self, world: World, commit: Commit, method: str, code: str
    ) -> None:
        world.refuse(method, code)
        with pytest.raises(LedgerUnavailableError):
            world.ledger.commit(commit)
        assert world.slept == []

    def test_an_invalid_request_is_a_defect(
        self, world: World, commit: Commit, method: str
    ) -> None:
        world.refuse(method, "ValidationException")
        with pytest.raises(LedgerDefectError):
            world.ledger.commit(commit)
        assert world.slept == []


@pytest.mark.parametrize(("commit", "method"), [(CREATED, "put_item"), (CHANGED, "update_item")])
def test_a_condition_that_failed_on_our_own_write_has_not_failed(
    world: World, commit: Commit, method: str
) -> None:
    world.refuse(
        method, "ConditionalCheckFailedException", item={"revision": 1, "write_id": "mine"}
    )
    world.ledger.commit(commit)


@pytest.mark.parametrize(
    ("revision", "copies", "expected"),
    [
        (2, 0, LedgerConflictError),
        (9, 0, LedgerConflictError),
        (2, 1, LedgerConflictError),
        (3, 1, LedgerUnavailableError),
    ],
)
def test_a_condition_that_failed_on_anothers_write(
    world: World, revision: int, copies: int, expected: type[Exception]
) -> None:
    world.refuse(
        "update_item",
        "ConditionalCheckFailedException",
        copies=copies,
        item={"revision": revision, "write_id": "theirs"},
    )
    with pytest.raises(expected):
        world.ledger.commit(CHANGED)


# --- taking a report ----------------------------------------------------------------------------


def take(world: World) -> object:
    return world.ledger.take_report(REFUND.id, now_ms=1, lease_until_ms=2)


def test_a_report_that_is_not_to_be_had_is_none(world: World) -> None:
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
        ledger.take_report("rfd_1", now_ms=1, lease_until_ms=2)


def test_the_text_of_a_refused_request_is_not_repeated() -> None:
    broken: Any = Broken(ParamValidationError(report="Invalid value: 'a customer'"))
    with pytest.raises(LedgerDefectError) as defect:
        DynamoDbLedger(broken, "ledger").commit(CREATED)
    assert "customer" not in str(defect.value)
    assert defect.value.__cause__ is None
    assert defect.value.__suppress_context__


def test_pauses_are_bounded_and_cut_at_random(client: "DynamoDBClient", world: World) -> None:
    ledger = DynamoDbLedger(client, "ledger", sleep=world.slept.append, random=lambda: 0.999)
    for _ in range(TRIES):
        world.refuse("put_item", "ThrottlingException")
    with pytest.raises(LedgerUnavailableError):
        ledger.commit(CREATED)
    assert world.slept == pytest.approx([pause / 2 for pause in PAUSES_S], rel=0.01)
    assert sum(PAUSES_S) < 2
