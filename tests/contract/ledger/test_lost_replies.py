"""A write is applied, its reply is lost, and botocore sends it again by itself."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from refund_bridge.adapters.dynamodb.keys import refund_key
from refund_bridge.adapters.dynamodb.ledger import DynamoDbLedger
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    ProcessorRefundClaim,
    RefundWrite,
)
from tests.contract.ledger.conftest import Table
from tests.contract.ledger.examples import NOW, a_payment, a_refund, a_refund_of, stored, unique

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_NewClient = Callable[[], "DynamoDBClient"]


class Lossy:
    """A ledger whose every first reply is lost; ``meanwhile`` runs before the second copy."""

    def __init__(self, client: "DynamoDBClient", table: Table) -> None:
        self.ledger = DynamoDbLedger(client, table.name, sleep=lambda _: None)
        self.meanwhile: Callable[[], object] = lambda: None
        self.sent = 0
        events: Any = client.meta.events  # its stubs forbid the answer that it asks for
        events.register_first("needs-retry.dynamodb", self._send_again)

    def _send_again(self, attempts: int, **_: Any) -> int | None:
        self.sent += 1
        if attempts > 1:
            return None
        self.meanwhile()
        return 0


@pytest.fixture
def lossy(new_client: _NewClient, table: Table) -> Lossy:
    return Lossy(new_client(), table)


def keep(table: Table, refund: Refund) -> Refund:
    table.ledger().commit(Commit(refunds=(RefundWrite(None, refund),)))
    return stored(refund, 1)


def hijack(table: Table, refund: Refund) -> None:
    """Another worker reads the refund and writes it, whatever it holds by now."""
    now = table.ledger().refund(refund.id)
    assert now is not None
    table.ledger().commit(Commit(refunds=(RefundWrite(now, replace(now, next_check_ms=77)),)))


def test_a_creation_that_meets_itself_has_succeeded(lossy: Lossy, table: Table) -> None:
    refund = a_refund()
    lossy.ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))
    assert lossy.sent == 2
    assert table.ledger().refund(refund.id) == stored(refund, 1)


def test_a_change_that_meets_itself_has_succeeded(lossy: Lossy, table: Table) -> None:
    before = keep(table, a_refund())
    after = replace(before, next_check_ms=NOW)
    lossy.ledger.commit(Commit(refunds=(RefundWrite(before, after),)))
    assert lossy.sent == 2
    assert table.ledger().refund(before.id) == stored(after, 2)


def test_a_transaction_that_meets_itself_has_succeeded(lossy: Lossy, table: Table) -> None:
    payment = a_payment()
    refund = a_refund_of(payment)
    claim = ProcessorRefundClaim("hitpay", unique("hp"), refund.id)
    lossy.ledger.commit(
        Commit(
            refunds=(RefundWrite(None, refund),),
            payments=(PaymentWrite(None, payment),),
            claims=(claim,),
        )
    )
    assert lossy.sent == 2
    assert table.ledger().payment(payment.key) == replace(payment, revision=1)


def test_a_transaction_that_another_overtook_has_succeeded_still(
    lossy: Lossy, table: Table
) -> None:
    payment = a_payment()
    refund = a_refund_of(payment)
    lossy.meanwhile = lambda: hijack(table, refund)
    lossy.ledger.commit(
        Commit(refunds=(RefundWrite(None, refund),), payments=(PaymentWrite(None, payment),))
    )
    kept = table.ledger().refund(refund.id)
    assert kept == stored(replace(refund, next_check_ms=77), 2)


def test_a_claim_that_meets_itself_has_succeeded(lossy: Lossy, table: Table) -> None:
    claim = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    lossy.ledger.commit(Commit(claims=(claim,)))
    assert lossy.sent == 2
    with pytest.raises(ClaimConflictError):
        lossy.ledger.commit(Commit(claims=(replace(claim, refund_id=unique("rfd")),)))


def test_a_taken_check_that_meets_itself_is_ours(lossy: Lossy, table: Table) -> None:
    refund = keep(table, a_refund(next_check_ms=NOW))
    taken = lossy.ledger.take_check(refund.id, now_ms=NOW, until_ms=NOW + 1)
    assert lossy.sent == 2
    assert taken is not None
    assert taken == table.ledger().refund(refund.id)


def test_a_check_that_another_took_is_not_ours_though_it_was_asked_for_twice(
    lossy: Lossy, table: Table
) -> None:
    refund = keep(table, a_refund(next_check_ms=NOW))
    table.ledger().take_check(refund.id, now_ms=NOW, until_ms=NOW + 1)
    assert lossy.ledger.take_check(refund.id, now_ms=NOW, until_ms=NOW + 1) is None
    assert lossy.sent == 2


def test_a_change_that_another_overtook_may_or_may_not_have_been_made(
    lossy: Lossy, table: Table
) -> None:
    before = keep(table, a_refund())
    lossy.meanwhile = lambda: hijack(table, before)
    with pytest.raises(LedgerUnavailableError):
        lossy.ledger.commit(
            Commit(refunds=(RefundWrite(before, replace(before, next_check_ms=NOW)),))
        )
    assert (table.item(refund_key(before.id)) or {})["revision"] == 3


def test_a_change_that_came_too_late_was_not_made_though_it_was_sent_twice(
    lossy: Lossy, table: Table
) -> None:
    before = keep(table, a_refund())
    hijack(table, before)
    with pytest.raises(LedgerConflictError):
        lossy.ledger.commit(
            Commit(refunds=(RefundWrite(before, replace(before, next_check_ms=NOW)),))
        )
    assert lossy.sent == 2


def test_a_creation_that_came_too_late_was_not_made_though_it_was_sent_twice(
    lossy: Lossy, table: Table
) -> None:
    refund = a_refund()
    keep(table, refund)
    with pytest.raises(LedgerConflictError):
        lossy.ledger.commit(Commit(refunds=(RefundWrite(None, refund),)))
    assert lossy.sent == 2
