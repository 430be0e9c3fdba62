"""Many refunds at a time: both ledgers list the same, in the same order."""

import secrets
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import Event
from refund_bridge.domain.transitions import transition
from refund_bridge.ports.ledger import Commit, Ledger, PaymentWrite
from refund_bridge.ports.listing import (
    Listing,
    OfInvoice,
    OfMonth,
    OfPayment,
    OfPaymentIntent,
    Position,
    Selection,
)
from refund_bridge.refunding.withdraw import FAILURE
from tests.contract.ledger.conftest import Subject, Table
from tests.contract.ledger.examples import NOW, a_payment, a_refund, keep, unique, why, write
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing

# 2024-03-01T00:00:00Z is one millisecond after NOW.
MARCH = NOW + 1
FIRST, LAST = Position(0), Position(253_402_300_800_000)


@dataclass(frozen=True)
class Both:
    """A ledger, and the listing of what it holds."""

    ledger: Ledger
    listing: Listing

    def keep(self, **facts: Any) -> Refund:
        return keep(self.ledger, a_refund(**facts))

    def keep_payment(self) -> Payment:
        payment = a_payment()
        self.ledger.commit(Commit(payments=(PaymentWrite(None, payment),)))
        stored = self.ledger.payment(payment.key)
        assert stored is not None
        return stored

    def newest(
        self,
        selection: Selection,
        *,
        after: Position = FIRST,
        before: Position = LAST,
        limit: int = 1000,
    ) -> list[str]:
        places = self.listing.newest(selection, after=after, before=before, limit=limit)
        return [place.refund_id for place in places]


@pytest.fixture
def both(subject: Subject, request: pytest.FixtureRequest) -> Both:
    if isinstance(subject.ledger, MemoryLedger):
        return Both(subject.ledger, MemoryListing(subject.ledger))
    table: Table = request.getfixturevalue("table")
    return Both(subject.ledger, table.listing())


def at(refund: Refund) -> Position:
    return Position(refund.created_at_ms, refund.id)


def test_the_refunds_of_a_payment_are_shown_newest_first(both: Both) -> None:
    charge = unique("charge") + "#x"
    old, new, middle = (
        both.keep(processor_payment_id=charge, created_at_ms=ms) for ms in (7, NOW, 8)
    )
    both.keep()
    selection = OfPayment(PaymentKey("hitpay", charge))
    assert both.listing.newest(selection, after=FIRST, before=LAST, limit=9) == [
        at(new),
        at(middle),
        at(old),
    ]
    assert both.newest(OfPayment(PaymentKey("other", charge))) == []


def test_the_refunds_of_a_payment_intent_and_of_an_invoice_are_shown(both: Both) -> None:
    intent, invoice = unique("pi"), unique("in")
    by_intent, by_invoice = both.keep(payment_intent=intent), both.keep(invoice=invoice)
    assert both.newest(OfPaymentIntent(intent)) == [by_intent.id]
    assert both.newest(OfInvoice(invoice)) == [by_invoice.id]


def test_the_refunds_of_a_month_are_shown_up_to_its_last_millisecond(both: Both) -> None:
    february, march = both.keep(created_at_ms=NOW), both.keep(created_at_ms=MARCH)
    assert {february.id} == {february.id, march.id} & set(both.newest(OfMonth("2024-02")))
    assert {march.id} == {february.id, march.id} & set(both.newest(OfMonth("2024-03")))


def test_the_refunds_of_a_month_are_shown_by_what_callers_call_their_status(both: Both) -> None:
    pending, failed = both.keep(), both.keep()
    write(both.ledger, failed, transition(failed, Event.REJECT, why("said")))
    ours = {pending.id, failed.id}
    assert ours & set(both.newest(OfMonth("2024-02", "pending"))) == {pending.id}
    assert ours & set(both.newest(OfMonth("2024-02", "failed"))) == {failed.id}
    assert ours & set(both.newest(OfMonth("2024-02", "succeeded"))) == set()
    assert ours <= set(both.newest(OfMonth("2024-02")))


def test_a_refund_that_was_taken_back_is_shown_as_canceled(both: Both) -> None:
    kept = both.keep(event=Event.ACCEPT_SCHEDULED)
    write(both.ledger, kept, transition(kept, Event.CANCEL, why("withdrawn"), failure=FAILURE))
    assert kept.id in both.newest(OfMonth("2024-02", "canceled"))
    assert kept.id not in both.newest(OfMonth("2024-02", "failed"))


def test_refunds_of_one_millisecond_are_told_apart_by_their_ids(both: Both) -> None:
    intent = unique("pi")
    refunds = [both.keep(payment_intent=intent, created_at_ms=NOW) for _ in range(4)]
    ids = sorted((refund.id for refund in refunds), reverse=True)
    selection = OfPaymentIntent(intent)
    assert both.newest(selection) == ids
    for place in range(4):
        here = Position(NOW, ids[place])
        assert both.newest(selection, before=here) == ids[place + 1 :]
        assert both.newest(selection, after=here) == ids[:place]


def test_both_places_are_excluded_and_what_stands_between_them_is_shown(both: Both) -> None:
    intent = unique("pi")
    one, two, three = (both.keep(payment_intent=intent, created_at_ms=ms) for ms in (10, 20, 30))
    selection = OfPaymentIntent(intent)
    assert both.newest(selection, after=at(one), before=at(three)) == [two.id]
    assert both.newest(selection, after=at(one), before=at(three), limit=1) == [two.id]
    assert both.newest(selection, after=Position(10), before=Position(30)) == [two.id, one.id]
    assert both.newest(selection, after=Position(11), before=Position(31)) == [three.id, two.id]


def test_fewer_than_asked_for_are_all_that_there_are(both: Both) -> None:
    intent = unique("pi")
    ids = [both.keep(payment_intent=intent, created_at_ms=n).id for n in range(1, 6)]
    newest_first = ids[::-1]
    edge = both.ledger.refund(ids[4])
    assert edge is not None
    for limit in range(1, 7):
        shown = both.newest(OfPaymentIntent(intent), limit=limit)
        assert shown == newest_first[:limit]
        after_the_newest = both.newest(OfPaymentIntent(intent), before=at(edge), limit=limit)
        assert after_the_newest == newest_first[1 : limit + 1]


@pytest.mark.parametrize("end", [Position(5), Position(5, "rfd_x"), Position(4)])
def test_between_a_place_and_an_earlier_or_the_same_one_stands_nothing(
    both: Both, end: Position
) -> None:
    intent = unique("pi")
    both.keep(payment_intent=intent, created_at_ms=5)
    assert both.newest(OfPaymentIntent(intent), after=Position(5, "rfd_x"), before=end) == []


def test_the_oldest_stand_first_and_as_many_as_asked_for(both: Both) -> None:
    intent = unique("pi")
    kept = [both.keep(payment_intent=intent, created_at_ms=ms) for ms in (30, 10, 20, 20)]
    order = sorted(map(at, kept))
    for limit in range(1, 6):
        assert both.listing.oldest(OfPaymentIntent(intent), limit=limit) == order[:limit]


def test_the_oldest_between_two_places_leave_out_both(both: Both) -> None:
    intent = unique("pi")
    kept = [both.keep(payment_intent=intent, created_at_ms=ms) for ms in (10, 20, 20, 20, 30)]
    order = sorted(map(at, kept))
    selection = OfPaymentIntent(intent)
    assert both.listing.oldest(selection, after=order[0], limit=9) == order[1:]
    for limit in range(1, 4):
        between = both.listing.oldest(selection, after=order[1], before=order[4], limit=limit)
        assert between == order[2:4][:limit]
    assert both.listing.oldest(selection, after=order[2], before=order[2], limit=9) == []


def test_refunds_of_one_status_and_month_are_counted(both: Both) -> None:
    # Given a month that no other test writes to
    ms = 4_102_444_800_000 + secrets.randbelow(10**9)
    month = f"{datetime.fromtimestamp(ms / 1000, tz=UTC):%Y-%m}"
    before = both.listing.count(OfMonth(month, "succeeded"))
    # When two refunds of it have succeeded, and one has not
    for _ in range(2):
        both.keep(event=Event.IMPORT_SUCCEEDED, created_at_ms=ms)
    both.keep(created_at_ms=ms)
    # Then two more are counted
    assert both.listing.count(OfMonth(month, "succeeded")) == before + 2


@pytest.mark.parametrize("name", ["pi_never", "", "x" * 3000, "\ud800", "\0"])
def test_of_what_is_not_there_nothing_is_shown(both: Both, name: str) -> None:
    assert both.listing.oldest(OfPaymentIntent(name), limit=9) == []
    assert both.listing.count(OfPaymentIntent(name)) == 0
    assert both.newest(OfPaymentIntent(name)) == []
    assert both.newest(OfInvoice(name)) == []
    assert both.newest(OfPayment(PaymentKey("hitpay", name))) == []
    assert both.listing.refunds([name]) == {}
    assert both.listing.payments([PaymentKey("hitpay", name)]) == {}


def test_many_refunds_are_read_at_once_as_they_are_now(both: Both) -> None:
    kept = [both.keep() for _ in range(103)]
    changed = replace(kept[0], looked_at_ms=NOW, payment_intent="pi_later")
    write(both.ledger, kept[0], changed)
    ids = [refund.id for refund in kept]
    found = both.listing.refunds([*ids, "rfd_never", ids[5]])
    assert found == {refund.id: refund for refund in kept[1:]} | {
        kept[0].id: replace(changed, revision=2)
    }
    assert both.listing.refunds([]) == {}


def test_many_payments_are_read_at_once_as_they_are_now(both: Both) -> None:
    kept = [both.keep_payment() for _ in range(3)]
    changed = replace(kept[0], held=100)
    both.ledger.commit(Commit(payments=(PaymentWrite(kept[0], changed),)))
    keys = [payment.key for payment in kept]
    found = both.listing.payments([*keys, PaymentKey("hitpay", "never"), keys[1]])
    assert found == {
        keys[0]: replace(changed, revision=2),
        keys[1]: kept[1],
        keys[2]: kept[2],
    }
    assert both.listing.payments([]) == {}
