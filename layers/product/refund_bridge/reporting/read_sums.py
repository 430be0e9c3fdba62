"""A payment as Stripe's record, the charge and the ledger show it together, read in this order.

The record first, **then** the charge: so all that Stripe's sum can hold is on the charge, and is a
refund here by the time that the two are compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from refund_bridge.domain.charge import Charge
from refund_bridge.domain.errors import ProcessorUnavailableError
from refund_bridge.domain.payment import Payment, PaymentKey, recounted
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.record_lines import lines_of
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.stripe_knows import Line, unexplained
from refund_bridge.ports.ledger import Commit, Ledger, LedgerConflictError, PaymentWrite
from refund_bridge.ports.processor import ChargeNotFoundError, Processor
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.ports.stripe import StripeReports
from refund_bridge.refunding.learn_from_charge import LearnFromCharge
from refund_bridge.refunding.provider_errors import asking_processor, asking_stripe


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What was read together.

    Attributes:
        lines: every refund of the payment, as far as telling Stripe goes.
        unexplained: what Stripe shows as refunded beyond what is reported, minor units.
        seen_before: the same when it was read the last time; ``None``: it never was.
        listed: ids of the refunds that the charge lists; ``None``: it was not read, or lists none
            in a form that can be read.
        all_listed: whether ``lines`` has all that others refunded: the charge lists its refunds, or
            shows no more as refunded than what is known here.
    """

    record: PaymentRecord
    payment: Payment
    refunds: Mapping[str, Refund]
    lines: tuple[Line, ...]
    unexplained: int
    seen_before: int | None
    listed: frozenset[str] | None
    all_listed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSums:
    """Reads a payment on all sides, and keeps what Stripe's sum leaves unexplained.

    Attributes:
        every_refund: all refunds of the payment, as they are now; the newest may be missing.
        grace_ms: how long whoever made a refund may be about to report it themselves.
    """

    ledger: Ledger
    stripe_reports: StripeReports
    processors: Mapping[str, Processor]
    learn: LearnFromCharge
    every_refund: Callable[[PaymentKey], Sequence[Refund]]
    clock: Clock
    grace_ms: int

    def __call__(
        self,
        payment: Payment,
        payment_record: str,
        deadline: Deadline,
        *,
        without_charge: bool = False,
    ) -> Sums:
        """Read the payment; what its charge shows is learnt, durably.

        ``without_charge``: a charge that cannot be read is left out, as one that nobody shows.

        Raises:
            RefundBridgeError: Stripe or the processor could not be read now, or know no such thing.
            LedgerConflictError: the payment changes too fast, or an index is behind; read again.
            LedgerUnavailableError: the ledger gave no answer.
        """
        # Whoever is about to report may do so while this reads: their time is counted from before.
        now_ms = self.clock.now_ms()
        with asking_stripe():
            record = self.stripe_reports.payment_record(payment_record, deadline)
        try:
            now, found, charge = self._learn(payment, record, deadline)
        except ProcessorUnavailableError:
            if not without_charge:
                raise
            now, found, charge = self._again(payment.key), {}, None
        processor_refunds = None if charge is None else charge.processor_refunds
        listed = (
            None if processor_refunds is None else frozenset(one.id for one in processor_refunds)
        )
        found = {refund.id: refund for refund in self.every_refund(payment.key)} | found
        counted = recounted(now, tuple(found.values()))
        if counted is None:
            raise LedgerConflictError(f"the refunds of {payment.key.charge_id} are changing")
        lines = lines_of(found.values(), now_ms=now_ms, grace_ms=self.grace_ms)
        gap = unexplained(record.amount_refunded, lines, counted.accepted_excess)
        after = replace(counted, unexplained=gap)
        if after != now:
            self.ledger.commit(Commit(payments=(PaymentWrite(now, after),)))
            after = replace(after, revision=now.revision + 1)
        return Sums(
            record=record,
            payment=after,
            refunds=found,
            lines=lines,
            unexplained=gap,
            seen_before=payment.unexplained,
            listed=listed,
            all_listed=listed is not None or (charge is not None and now.foreign_on_charge == 0),
        )

    def _learn(
        self, payment: Payment, record: PaymentRecord, deadline: Deadline
    ) -> tuple[Payment, dict[str, Refund], Charge | None]:
        """The payment after its charge was read, what was imported, and the charge.

        The same if it cannot be read.
        """
        processor = self.processors.get(payment.key.processor)
        is_shown = processor is not None and processor.capabilities.shows_payments
        if processor is None or not is_shown or payment.key.is_unlinked:
            return self._again(payment.key), {}, None
        try:
            with asking_processor():
                charge = processor.charge(payment.key.charge_id, deadline)
        except ChargeNotFoundError:
            return self._again(payment.key), {}, None
        seen = PaymentSnapshot(
            key=payment.key,
            payment_record=payment.payment_record,
            currency=payment.currency,
            captured=payment.captured,
            in_book=record.amount_refunded,
            charge=charge,
        )
        learnt = self.learn(seen, deadline)
        kept = self.learn.keep(learnt, seen)
        imports = {one.id: one for one in learnt.imports}
        return kept or self._again(payment.key), imports, charge

    def _again(self, key: PaymentKey) -> Payment:
        payment = self.ledger.payment(key)
        if payment is None:
            raise LedgerConflictError(f"payment {key.charge_id} is not there")
        return payment
