"""Whatever the ledger holds, the pages of a list are the list, cut into pieces."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import PUBLIC_STATUSES, Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.reading.listing import SPAN_MS, ListQuery, ListRefunds
from refund_bridge.refunding.withdraw import FAILURE
from tests.contract.ledger.examples import a_refund
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing
from tests.fakes.virtual_clock import VirtualClock

# 2024-02-29T23:59:59.999Z: a leap day, and the last millisecond of a month.
NOW = 1_709_251_199_999
DAY_MS = 86_400_000

# Many of one millisecond, at the edges of months and of the longest span; and any others.
MOMENTS = st.sampled_from(
    [NOW, NOW + 1, NOW - 1, NOW - 29 * DAY_MS, NOW - SPAN_MS, NOW - SPAN_MS + 1, 0, 1]
) | st.integers(0, NOW + DAY_MS - 1)
TIMES = st.none() | MOMENTS | st.sampled_from([-62_135_683_140_000, 253_402_387_139_000])
REFUNDS = st.lists(
    st.tuples(
        MOMENTS,
        st.sampled_from(State),
        st.sampled_from(["charge_1", "charge_2"]),
        st.sampled_from(["pi_1", None]),
        st.sampled_from(["in_1", None]),
    ),
    max_size=40,
)
FILTERS = st.sampled_from(
    [
        {},
        {"payment_record": "pr_1"},
        {"payment_intent": "pi_1"},
        {"invoice": "in_1"},
        *({"statuses": (status,)} for status in sorted(PUBLIC_STATUSES)),
        {"statuses": ("failed", "succeeded")},
        {"payment_intent": "pi_1", "statuses": ("failed", "succeeded")},
    ]
)


def is_asked_for(refund: Refund, query: ListQuery, all_refunds: Iterable[Refund]) -> bool:
    """By the contract's words alone."""
    of_intent = {r.processor_payment_id for r in all_refunds if r.payment_intent == "pi_1"}
    of_invoice = {r.processor_payment_id for r in all_refunds if r.invoice == "in_1"}
    after, before = query.created_after_ms, query.created_before_ms
    if not query.is_of_one and after is None:
        after = (NOW if before is None else min(before, NOW)) - SPAN_MS
    return (
        (query.payment_record is None or refund.processor_payment_id == "charge_1")
        and (query.payment_intent is None or refund.processor_payment_id in of_intent)
        and (query.invoice is None or refund.processor_payment_id in of_invoice)
        and (not query.statuses or refund.public_status in query.statuses)
        and (after is None or refund.created_at_ms > after)
        and (before is None or refund.created_at_ms < before)
    )


def is_too_wide(query: ListQuery) -> bool:
    if query.is_of_one or query.created_after_ms is None:
        return False
    before = NOW if query.created_before_ms is None else min(query.created_before_ms, NOW)
    return before - query.created_after_ms > SPAN_MS


@settings(max_examples=300, deadline=None)
@given(REFUNDS, FILTERS, TIMES, TIMES, st.integers(1, 100) | st.integers(1, 5))
def test_the_pages_of_a_list_hold_each_of_its_refunds_once_newest_first(
    shapes: list[tuple[int, State, str, str | None, str | None]],
    filters: dict[str, Any],
    created_after_ms: int | None,
    created_before_ms: int | None,
    limit: int,
) -> None:
    # Given a ledger that holds just about anything
    ledger = MemoryLedger(as_stored=False)
    ledger.records["pr_1"] = PaymentKey("hitpay", "charge_1")
    for number, (at_ms, state, charge, intent, invoice) in enumerate(shapes):
        refund = a_refund(
            # Ids in no order.
            id=f"rfd_{number * 7919 % 97:02}",
            created_at_ms=at_ms,
            processor_payment_id=charge,
            payment_intent=intent,
            invoice=invoice,
        )
        withdrawn = state is State.FAILED and number % 2
        ledger.refunds[refund.id] = replace(
            refund, state=state, failure=FAILURE if withdrawn else None
        )
    list_refunds = ListRefunds(
        ledger=ledger, listing=MemoryListing(ledger), clock=VirtualClock(NOW)
    )
    query = ListQuery(
        **filters,
        limit=limit,
        created_after_ms=created_after_ms,
        created_before_ms=created_before_ms,
    )
    if is_too_wide(query):
        return
    # When somebody pages through a list
    pages = [list_refunds(query)]
    while pages[-1].has_more:
        assert len(pages[-1].refunds) == limit
        last = pages[-1].refunds[-1].id
        pages.append(list_refunds(replace(query, starting_after=last)))
    # Then the pages are the list
    shown = [refund for page in pages for refund in page.refunds]
    stored = ledger.refunds.values()
    wanted = [refund for refund in stored if is_asked_for(refund, query, stored)]
    assert shown == sorted(wanted, key=lambda one: (one.created_at_ms, one.id), reverse=True)
    # And from its end back to its beginning, by the refund that comes after each page, as well
    if not shown:
        return
    backwards = shown[-1:]
    has_more = True
    while has_more:
        page = list_refunds(replace(query, ending_before=backwards[0].id))
        assert not page.has_more or len(page.refunds) == limit
        backwards = [*page.refunds, *backwards]
        has_more = page.has_more
    assert backwards == shown
