"""The daily sweep: reads the processor's list of payments for refunds that no webhook told us of.

A webhook may be lost or never be set up. Every run first reads the newest pages, as long as they
show something new. Then it goes on where the last run ended; after the last page it begins anew. So
the cost of a run is bounded, and no payment is left out for ever. If a page cannot be read, the run
ends with an error, which raises an alarm; after some tries a later run skips the page.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final

from refund_bridge.domain.charge import PROCESSOR_REFUNDS_MAX, ListedCharge
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.observing.observe_payment import ObservePayment
from refund_bridge.ports.ledger import LedgerConflictError
from refund_bridge.ports.processor import ChargePage, Processor, UnreadablePageError
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry, Together
from refund_bridge.ports.sweeps import Sweep, SweepLog
from refund_bridge.refunding.learn_from_charge import SINCE_MARGIN_MS
from refund_bridge.refunding.provider_errors import asking_processor

# The longest that one payment, or one page, may take.
STEP_MS: Final = 24_000
# At most so many of the newest pages are read before the run goes on where the last one ended.
NEWEST_PAGES_MAX: Final = 5
# A page that could not be read so often is skipped.
PAGE_TRIES: Final = 3


@dataclass(slots=True)
class _Walked:
    """Counts of one run, and the error of a page that could not be read."""

    pages: int = 0
    payments: int = 0
    differing: int = 0
    missed: RefundBridgeError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPayments:
    """Compares each processor's list of payments with the ledger; observes those that differ.

    Attributes:
        payments: reads the payments of those keys from the ledger, at most a page of them.
    """

    processors: Mapping[str, Processor]
    sweeps: SweepLog
    payments: Callable[[Sequence[PaymentKey]], Mapping[PaymentKey, Payment]]
    observe: ObservePayment
    together: Together
    clock: Clock
    telemetry: Telemetry

    def __call__(self, deadline: Deadline) -> int:
        """Sweep until the end of the list or ``deadline``; returns how many payments differed.

        The position in the list is durable after every page.

        Raises:
            ProcessorUnavailableError: a page of a list could not be read. What else could be read
                was swept; a page that could not be read ``PAGE_TRIES`` times is skipped next time.
            LedgerUnavailableError: the ledger gave no answer.
        """
        differing, missed = 0, None
        listing = [one for one in self.processors.values() if one.capabilities.lists_charges]
        for number, processor in enumerate(listing):
            # Each processor gets its part of the time, so one long list does not use up all of it.
            share_ms = deadline.remaining_ms() // (len(listing) - number)
            walked = self._sweep(processor, deadline.at_most(share_ms))
            differing += walked.differing
            missed = missed or walked.missed
        if missed is not None:
            raise missed
        return differing

    def _sweep(self, processor: Processor, deadline: Deadline) -> _Walked:
        begin_ms = self.clock.now_ms() - SINCE_MARGIN_MS
        sweep = self.sweeps.sweep(processor.name, begin_ms=begin_ms)
        walked = _Walked()
        if sweep.cursor is not None:
            self._newest(processor, walked, deadline)
        self._walk_on(processor, sweep, walked, deadline)
        self.telemetry.note(
            "swept",
            processor=processor.name,
            pages=walked.pages,
            payments=walked.payments,
            differing=walked.differing,
        )
        return walked

    def _newest(self, processor: Processor, walked: _Walked, deadline: Deadline) -> None:
        """Read the newest pages until one shows nothing new, so that new refunds are found soon."""
        cursor = None
        for _ in range(NEWEST_PAGES_MAX):
            if deadline.remaining_ms() <= 2 * STEP_MS:
                return
            try:
                page = self._asked(processor, cursor, deadline)
            except RefundBridgeError as error:
                # The long walk still goes on, whatever is wrong with the newest page.
                self._missed(processor, cursor, walked, error)
                return
            found = self._looked_at(processor, page, walked, deadline)
            cursor = page.cursor
            if not found or cursor is None:
                return

    def _walk_on(
        self, processor: Processor, sweep: Sweep, walked: _Walked, deadline: Deadline
    ) -> None:
        """Go on with the long walk through all payments, from where the last run ended."""
        # There must be time for a page and then for each of its payments.
        while deadline.remaining_ms() > 2 * STEP_MS:
            try:
                page = self._asked(processor, sweep.cursor, deadline)
            except RefundBridgeError as error:
                self._missed(processor, sweep.cursor, walked, error)
                self._try_again_or_pass(sweep, error)
                return
            found = self._looked_at(processor, page, walked, deadline)
            if found and deadline.remaining_ms() <= STEP_MS:
                # Some payments may not have been observed: the next run begins with this page.
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
        """Observe the payments of the page that differ; whether there are any."""
        found = self._differing(processor.name, page.charges)
        self.together.each(partial(self._look, processor.name, deadline), found)
        walked.pages += 1
        walked.payments += len(page.charges)
        walked.differing += len(found)
        return bool(found)

    def _asked(self, processor: Processor, cursor: str | None, deadline: Deadline) -> ChargePage:
        with asking_processor():
            return processor.charges(cursor, deadline.at_most(STEP_MS))

    def _missed(
        self, processor: Processor, cursor: str | None, walked: _Walked, error: RefundBridgeError
    ) -> None:
        walked.missed = error
        cause = type(error.__cause__).__name__
        self.telemetry.note("sweep_page_missed", processor=processor.name, at=cursor, error=cause)

    def _try_again_or_pass(self, sweep: Sweep, error: RefundBridgeError) -> None:
        """Set where the next run begins: at the same page, or after some tries beyond it.

        If the processor was unavailable, nothing changes: that is not the page's fault.
        """
        if not isinstance(error.__cause__, UnreadablePageError):
            return
        tries = sweep.tries + 1
        with suppress(LedgerConflictError):  # another run has moved it
            if tries < PAGE_TRIES:
                self.sweeps.move_sweep(sweep, sweep.cursor, tries=tries)
            else:
                self.telemetry.note("sweep_page_passed", processor=sweep.processor, at=sweep.cursor)
                self.sweeps.move_sweep(sweep, error.__cause__.beyond)

    def _differing(self, processor: str, charges: Sequence[ListedCharge]) -> list[str]:
        """Ids of the payments whose refunds differ from those in the ledger."""
        keys = [PaymentKey(processor, charge.id) for charge in charges]
        known = self.payments(keys)
        ours = self._ours(
            processor, [one for charge in charges for one in charge.processor_refunds]
        )
        return [
            charge.id
            for charge, key in zip(charges, keys, strict=True)
            if _differs(key, charge, known.get(key), ours)
        ]

    def _ours(self, processor: str, processor_refunds: Sequence[str]) -> set[str]:
        """Those of the processor refunds that a refund of the ledger is bound to.

        Comparing sums is not enough: if a refund is taken back and another one of the same amount
        is made, the sum is as before.
        """
        ours: set[str] = set()
        for start in range(0, len(processor_refunds), PROCESSOR_REFUNDS_MAX):
            some = processor_refunds[start : start + PROCESSOR_REFUNDS_MAX]
            ours.update(self.observe.ledger.claimed(processor, some))
        return ours

    def _look(self, processor: str, deadline: Deadline, charge_id: str) -> None:
        if deadline.remaining_ms() <= STEP_MS:
            return
        try:
            self.observe(PaymentKey(processor, charge_id), deadline.at_most(STEP_MS))
        except Exception as error:  # noqa: BLE001 - one poison payment must not stop the others
            # A later sweep finds this payment again.
            self.telemetry.note("sweep_missed", charge=charge_id, error=type(error).__name__)


def _differs(
    key: PaymentKey, charge: ListedCharge, known: Payment | None, ours: Collection[str]
) -> bool:
    """Whether refunds are listed that are not ``ours``, or the ledger has another sum.

    A payment also counts as differing if the ledger knows what others refunded only as a sum: the
    charge may list those refunds by now, or show less. And if a report has failed: the link that
    was missing may exist by now. Of payments that Stripe itself took, only those that the ledger
    knows are compared.
    """
    is_unknown_refund = any(
        processor_refund not in ours for processor_refund in charge.processor_refunds
    )
    if known is not None and known.foreign_on_charge > 0:
        return True
    if key.is_stripes_own:
        return known is not None and is_unknown_refund
    if known is None:
        return charge.refunded != 0 or is_unknown_refund
    has_another_sum = charge.refunded != known.moved - known.taken_back
    return has_another_sum or known.report_failed_amount > 0 or is_unknown_refund
