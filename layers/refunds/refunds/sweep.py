"""Walk through the processor's payments for refunds that nobody told us of: the daily sweep.

A webhook may be lost or never be set up. Every run looks at the newest pages first, as long as
they show something new, and then goes on where the last one ended, beginning anew when it has come
to the end: what a run may cost is bounded, and no payment is left out for ever.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from refunds.errors import RefundBridgeError
from refunds.learn import SINCE_MARGIN_MS
from refunds.observe import ObservePayment
from refunds.payment import Payment, PaymentKey
from refunds.ports import (
    MOVEMENTS_MAX,
    ChargePage,
    Clock,
    Deadline,
    LedgerConflictError,
    ListedCharge,
    Processor,
    Sweep,
    SweepLog,
    Together,
    Trail,
    UnreadableAnswerError,
)
from refunds.provider_errors import asking_processor

# What one payment, or one page, may take.
STEP_MS: Final = 24_000
# So many of the newest pages are looked at before the long walk goes on.
NEWEST_PAGES_MAX: Final = 5


@dataclass(slots=True)
class _Walked:
    """How far one run has come."""

    pages: int = 0
    payments: int = 0
    differing: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPayments:
    """Compares the processor's list of payments with the ledger, and looks where they differ.

    Attributes:
        payments: the payments of those keys that the ledger knows, at most a page of them.
    """

    processors: Mapping[str, Processor]
    sweeps: SweepLog
    payments: Callable[[Sequence[PaymentKey]], Mapping[PaymentKey, Payment]]
    observe: ObservePayment
    together: Together
    clock: Clock
    trail: Trail

    def __call__(self, deadline: Deadline) -> int:
        """Sweep until the end of the list or ``deadline``; returns how many payments differed.

        How far it came is durable after every page.

        Raises:
            ProcessorUnavailableError: the list could not be read now.
            LedgerUnavailableError: the ledger gave no answer.
        """
        return sum(
            self._sweep(processor, deadline)
            for processor in self.processors.values()
            if processor.capabilities.lists_charges
        )

    def _sweep(self, processor: Processor, deadline: Deadline) -> int:
        begin_ms = self.clock.now_ms() - SINCE_MARGIN_MS
        sweep = self.sweeps.sweep(processor.name, begin_ms=begin_ms)
        walked = _Walked()
        if sweep.cursor is not None:
            self._newest(processor, walked, deadline)
        self._walk_on(processor, sweep, walked, deadline)
        self.trail.note(
            "swept",
            processor=processor.name,
            pages=walked.pages,
            payments=walked.payments,
            differing=walked.differing,
        )
        return walked.differing

    def _newest(self, processor: Processor, walked: _Walked, deadline: Deadline) -> None:
        """The newest pages, until one shows nothing new: they wait for no walk to come round."""
        cursor = None
        for _ in range(NEWEST_PAGES_MAX):
            if deadline.remaining_ms() <= 2 * STEP_MS:
                return
            try:
                page = self._asked(processor, cursor, deadline)
            except RefundBridgeError as error:
                # The walk goes on where it was, whatever is wrong with the newest page.
                self.trail.note("sweep_page_missed", processor=processor.name, error=error.code)
                return
            found = self._looked_at(processor, page, walked, deadline)
            cursor = page.cursor
            if not found or cursor is None:
                return

    def _walk_on(
        self, processor: Processor, sweep: Sweep, walked: _Walked, deadline: Deadline
    ) -> None:
        """The long walk through all payments, from where the last run left it."""
        # A page, and then each of its payments, must have the time that it may take.
        while deadline.remaining_ms() > 2 * STEP_MS:
            page = self._page(processor, sweep, deadline)
            if page is None:
                return
            found = self._looked_at(processor, page, walked, deadline)
            if found and deadline.remaining_ms() <= STEP_MS:
                # Some may have been left out: the next run begins with this page.
                return
            try:
                sweep = self.sweeps.move_sweep(sweep, page.cursor)
            except LedgerConflictError:
                return  # another run is under way
            if page.cursor is None:
                return

    def _looked_at(
        self, processor: Processor, page: ChargePage, walked: _Walked, deadline: Deadline
    ) -> bool:
        """Look at the payments of the page that differ; whether there are any."""
        found = self._differing(processor.name, page.charges)
        self.together.each(partial(self._look, processor.name, deadline), found)
        walked.pages += 1
        walked.payments += len(page.charges)
        walked.differing += len(found)
        return bool(found)

    def _asked(self, processor: Processor, cursor: str | None, deadline: Deadline) -> ChargePage:
        with asking_processor():
            return processor.charges(cursor, deadline.at_most(STEP_MS))

    def _page(self, processor: Processor, sweep: Sweep, deadline: Deadline) -> ChargePage | None:
        """The next page; ``None`` if the kept place is no place any more, and is forgotten."""
        try:
            return self._asked(processor, sweep.cursor, deadline)
        except RefundBridgeError as error:
            if isinstance(error.__cause__, UnreadableAnswerError) and sweep.cursor is not None:
                self.trail.note("sweep_begins_anew", processor=processor.name)
                with suppress(LedgerConflictError):  # another run has moved it
                    self.sweeps.move_sweep(sweep, None)
                return None
            raise

    def _differing(self, processor: str, charges: Sequence[ListedCharge]) -> list[str]:
        """Ids of the payments whose refunds are not those of the ledger."""
        keys = [PaymentKey(processor, charge.id) for charge in charges]
        known = self.payments(keys)
        ours = self._ours(processor, [one for charge in charges for one in charge.movements])
        return [
            charge.id
            for charge, key in zip(charges, keys, strict=True)
            if _differs(key, charge, known.get(key), ours)
        ]

    def _ours(self, processor: str, movements: Sequence[str]) -> set[str]:
        """Those of the movements that a refund here is bound to.

        Sums alone do not tell: one that was taken back and another of its amount, with which it was
        paid again, are as much as the first alone.
        """
        ours: set[str] = set()
        for start in range(0, len(movements), MOVEMENTS_MAX):
            some = movements[start : start + MOVEMENTS_MAX]
            ours.update(self.observe.ledger.claimed(processor, some))
        return ours

    def _look(self, processor: str, deadline: Deadline, charge_id: str) -> None:
        if deadline.remaining_ms() <= STEP_MS:
            return
        try:
            self.observe(PaymentKey(processor, charge_id), deadline.at_most(STEP_MS))
        except Exception as error:  # noqa: BLE001 - one poison payment must not stop the others
            # The next sweep comes by again.
            self.trail.note("sweep_missed", charge=charge_id, error=type(error).__name__)


def _differs(
    key: PaymentKey, charge: ListedCharge, known: Payment | None, ours: Collection[str]
) -> bool:
    """Whether refunds are listed that are not ``ours``, or the ledger's sum is another.

    What is known of others' refunds as a sum only is no refund of the ledger: the charge may list
    them by now. And a report may have failed for want of a link that somebody has mended since.
    Of what Stripe itself took, only payments that the ledger knows are its business.
    """
    is_unknown_refund = any(movement not in ours for movement in charge.movements)
    if key.is_stripes_own:
        return known is not None and is_unknown_refund
    if known is None:
        return charge.refunded != 0 or is_unknown_refund
    has_another_sum = charge.refunded != known.moved or known.report_failed_amount > 0
    return has_another_sum or is_unknown_refund
