"""What each refusal of a write becomes; the emulator never makes most of them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.stub import ANY

from refund_bridge.adapters.dynamodb.checks import LedgerDefectError
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.adapters.dynamodb.refusals import PAUSES_S
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
)
from tests.unit.adapters.dynamodb_calls import (
    CHANGED,
    CLAIM,
    CLAIMED,
    CONFLICT,
    CREATED,
    FAILED,
    NONE,
    THROTTLED,
    THROTTLING,
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


def test_pauses_are_bounded_and_cut_at_random(client: "DynamoDBClient", world: World) -> None:
    ledger = DynamoDbLedger(client, "ledger", sleep=world.slept.append, random=lambda: 0.999)
    for _ in range(TRIES):
        world.refuse("put_item", "ThrottlingException")
    with pytest.raises(LedgerUnavailableError):
        ledger.commit(CREATED)
    assert world.slept == pytest.approx([pause / 2 for pause in PAUSES_S], rel=0.01)
    assert sum(PAUSES_S) < 2
