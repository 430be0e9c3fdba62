"""A ledger in memory that refunds of any age and state are put into, and what the console asks."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import Entry, Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.reading.listing import ListRefunds
from refundctl.console.sources import Sources
from refundctl.depths import Depths
from tests.contract.ledger.examples import a_payment, a_refund
from tests.fakes.ledger import MemoryLedger
from tests.fakes.listing import MemoryListing
from tests.fakes.virtual_clock import VirtualClock

# 2026-03-14T03:07:31Z, a Saturday
NOW = 1_773_457_651_000
HOUR = 3_600_000
DAY = 24 * HOUR
QUIET = (Depths("reports", 0, 0, 0),)


class Shelf:
    """What is put there, read through the console's own sources."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger(as_stored=False)
        self.listing = MemoryListing(self.ledger)
        self.clock = VirtualClock(NOW)
        self.depths: Sequence[Depths] = QUIET

    @property
    def sources(self) -> Sources:
        lists = ListRefunds(ledger=self.ledger, listing=self.listing, clock=self.clock)
        return Sources(
            stage="test",
            deployment="test (refund-bridge-test)",
            line="refundctl {} --stage test".format,
            ledger=self.ledger,
            listing=self.listing,
            list_refunds=lists,
            newest_of=lists.newest_of,
            depths=lambda: self.depths,
            processors=("hitpay",),
            clock=self.clock,
        )

    def refunded(
        self,
        at_ms: int = NOW - 1,
        *,
        reason: str | None = None,
        paid: int | None = None,
        of: Refund | None = None,
        **facts: Any,
    ) -> Refund:
        """A refund that moved money, of the payment of ``of`` or of one that captured ``paid``."""
        refund = self.put(at_ms, state=State.SUCCEEDED, **facts)
        refund = replace(refund, request=replace(refund.request, reason=reason))
        if of is not None:
            refund = replace(refund, processor_payment_id=of.processor_payment_id)
        self.ledger.refunds[refund.id] = refund
        if paid is not None:
            key = payment_key_of(refund)
            payment = a_payment(key=key, captured=paid, currency=refund.currency)
            self.ledger.payments[key] = payment
        return refund

    def put(self, at_ms: int = NOW - 1, **facts: Any) -> Refund:
        """A refund made then; `history` as `(milliseconds later, from, to)`."""
        refund = a_refund(created_at_ms=at_ms)
        history = facts.pop("history", None)
        if history is not None:
            facts["history"] = tuple(
                Entry(
                    seq=seq, at_ms=at_ms + later, before=before, after=after, cause="c", actor="a"
                )
                for seq, (later, before, after) in enumerate(history, 1)
            )
        stored = replace(refund, **facts)
        self.ledger.refunds[stored.id] = stored
        return stored
