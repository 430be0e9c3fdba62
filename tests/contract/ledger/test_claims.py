from dataclasses import replace

import pytest

from refund_bridge.adapters.dynamodb.checks import LedgerDefectError
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    Known,
    Ledger,
    PaymentWrite,
    ProcessorRefundClaim,
    RecordClaim,
    RefundWrite,
)
from tests.contract.ledger.examples import a_payment, a_refund, a_refund_of, stored, unique


def test_a_claimed_record_is_found(ledger: Ledger) -> None:
    payment, record = PaymentKey("hitpay", unique("charge") + "#1"), unique("pr")
    ledger.commit(Commit(claims=(RecordClaim(record, payment),)))
    assert ledger.payment_of_record(record) == payment
    assert ledger.look_up(unique("rfd"), record) == Known(None, payment)


def test_one_look_up_answers_for_the_refund_and_the_record(ledger: Ledger) -> None:
    refund, record, payment = a_refund(), unique("pr"), PaymentKey("hitpay", unique("charge"))
    nothing = Known(None, None)
    assert ledger.look_up(refund.id, record) == ledger.look_up(refund.id, None) == nothing
    ledger.commit(
        Commit(refunds=(RefundWrite(None, refund),), claims=(RecordClaim(record, payment),))
    )
    kept = stored(refund, 1)
    assert ledger.look_up(refund.id, record) == Known(kept, payment)
    assert ledger.look_up(refund.id, None) == Known(kept, None)
    assert ledger.look_up(refund.id, unique("pr")) == Known(kept, None)


def test_a_claim_is_confirmed_to_its_holder_and_refused_to_others(ledger: Ledger) -> None:
    payment, other = (PaymentKey("hitpay", unique("charge")) for _ in range(2))
    mine = RecordClaim(unique("pr"), payment)
    bound = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    for _ in range(3):
        ledger.commit(Commit(claims=(mine,)))
        ledger.commit(Commit(claims=(bound,)))
        ledger.commit(Commit(claims=(mine, bound)))
        ledger.commit(Commit(claims=(mine, mine, bound, bound)))
    for theirs in (replace(mine, payment=other), replace(bound, refund_id=unique("rfd"))):
        with pytest.raises(ClaimConflictError) as alone:
            ledger.commit(Commit(claims=(theirs,)))
        assert alone.value.claim == theirs
        with pytest.raises(ClaimConflictError) as together:
            ledger.commit(
                Commit(claims=(theirs, bound if isinstance(theirs, RecordClaim) else mine))
            )
        assert together.value.claim == theirs
    assert ledger.payment_of_record(mine.payment_record) == payment
    assert ledger.claimed("hitpay", [bound.processor_refund_id]) == {
        bound.processor_refund_id: bound.refund_id
    }


def test_a_refused_claim_takes_everything_with_it(ledger: Ledger) -> None:
    held = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    ledger.commit(Commit(claims=(held,)))
    payment, record = a_payment(), unique("pr")
    refund = a_refund_of(payment)
    theirs = replace(held, refund_id=refund.id)
    with pytest.raises(ClaimConflictError) as refused:
        ledger.commit(
            Commit(
                refunds=(RefundWrite(None, refund),),
                payments=(PaymentWrite(None, payment),),
                claims=(RecordClaim(record, payment.key), theirs),
            )
        )
    assert refused.value.claim == theirs
    assert ledger.refund(refund.id) is None
    assert ledger.payment(payment.key) is None
    assert ledger.payment_of_record(record) is None


def test_a_refused_claim_is_told_before_a_changed_item(ledger: Ledger) -> None:
    refund = a_refund()
    held = ProcessorRefundClaim("hitpay", unique("hp"), unique("rfd"))
    ledger.commit(Commit(refunds=(RefundWrite(None, refund),), claims=(held,)))
    theirs = replace(held, refund_id=refund.id)
    with pytest.raises(ClaimConflictError) as refused:
        ledger.commit(Commit(refunds=(RefundWrite(None, refund),), claims=(theirs,)))
    assert refused.value.claim == theirs


def test_one_commit_cannot_give_one_thing_to_two(ledger: Ledger) -> None:
    record = unique("pr")
    claims = [RecordClaim(record, PaymentKey("hitpay", unique("charge"))) for _ in range(2)]
    with pytest.raises(LedgerDefectError):
        ledger.commit(Commit(claims=claims))
    assert ledger.payment_of_record(record) is None


def test_claimed_processor_refunds_are_told_with_their_refunds(ledger: Ledger) -> None:
    ids = [unique("hp") + "#x" for _ in range(250)]
    claims = [ProcessorRefundClaim("hitpay", one, f"rfd_{n}") for n, one in enumerate(ids)]
    for start in range(0, 200, 100):
        ledger.commit(Commit(claims=claims[start : start + 100]))
    asked = [*ids, *ids[:10], unique("never")]
    assert ledger.claimed("hitpay", asked) == {one: f"rfd_{n}" for n, one in enumerate(ids[:200])}
    assert ledger.claimed("other", asked) == {}
    assert ledger.claimed("hitpay", []) == {}


def test_a_thousand_processor_refunds_can_be_asked_for_at_once(ledger: Ledger) -> None:
    ids = [unique("hp") for _ in range(1001)]
    assert ledger.claimed("hitpay", ids[:1000]) == {}
    assert ledger.claimed("hitpay", [ids[0]] * 1001) == {}
    with pytest.raises(ValueError, match="1000"):
        ledger.claimed("hitpay", ids)


@pytest.mark.parametrize("name", ["", "x" * 3000, "\ud800"], ids=["empty", "long", "surrogate"])
def test_names_that_nothing_can_have_are_names_of_nothing(ledger: Ledger, name: str) -> None:
    assert ledger.refund(name) is None
    assert ledger.payment(PaymentKey("hitpay", name)) is None
    assert ledger.payment_of_record(name) is None
    assert ledger.look_up(name, name) == Known(None, None)
    assert ledger.claimed("hitpay", [name]) == {}
    assert ledger.take_check(name, now_ms=1, until_ms=2) is None
