"""Reads a payment at Stripe, at the processor and in the ledger, in this order, to compare sums.

The record is read first and the charge **after** it. So every refund in Stripe's sum is on the
charge, and is in the ledger before the two are compared.
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
    """A payment's record, refunds and sums, read together.

    Attributes:
        lines: every refund of the payment, with what matters for telling Stripe.
        unexplained: what Stripe shows as refunded beyond what is reported, minor units.
        seen_before: ``unexplained`` when it was read the last time; ``None``: it never was.
        listed: ids of the refunds that the charge lists; ``None``: it was not read, or lists none
            in a form that can be read.
        all_listed: whether ``lines`` has every external refund: the charge shows no more as
            refunded than what the ledger has.
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
    """Reads a payment at Stripe, the processor and the ledger; stores the unexplained sum.

    Attributes:
        every_refund: reads all refunds of the payment; the newest may be missing.
        grace_ms: how long others may take to report an external refund themselves.
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
        """Read the payment, and update the ledger with what its charge shows, durably.

        ``without_charge``: if the charge cannot be read, go on without it.

        Raises:
            RefundBridgeError: Stripe or the processor could not be read now, or has no such object.
            LedgerConflictError: the payment is changing, or an index lags behind; read again.
            LedgerUnavailableError: the ledger gave no answer.
        """
        # Others may report while this reads, so the grace period is judged by the time before.
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
            all_listed=charge is not None and now.foreign_on_charge == 0,
        )

    def _learn(
        self, payment: Payment, record: PaymentRecord, deadline: Deadline
    ) -> tuple[Payment, dict[str, Refund], Charge | None]:
        """Read the charge and learn from it: the payment after that, the imports, and the charge.

        If there is no charge to read: the payment as it is, no imports, and ``None``.
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
