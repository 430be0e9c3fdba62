"""A person accepts that Stripe shows more refunded than moved: a report cannot be undone there."""

from dataclasses import dataclass, replace

from refund_bridge.domain.errors import PaymentNotFoundError
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import REASON_MAX
from refund_bridge.domain.stripe_knows import excess_to_accept
from refund_bridge.domain.transitions import Why, noted
from refund_bridge.ports.ledger import Commit, Ledger, PaymentWrite, RefundWrite
from refund_bridge.ports.runtime import Clock, Deadline, Telemetry
from refund_bridge.reporting.read_sums import ReadSums, Sums


class NothingToAcceptError(Exception):
    """Stripe does not show too much, or something is still open; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Excess:
    """What would be accepted: ``amount`` minor units beyond all that is reported."""

    sums: Sums
    amount: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptExcess:
    """Records the excess that Stripe shows as accepted, so that it is explained from now on.

    Attributes:
        actor: who decides.
    """

    ledger: Ledger
    read_sums: ReadSums
    clock: Clock
    telemetry: Telemetry
    actor: str

    def weigh(self, payment_record: str, deadline: Deadline) -> Excess:
        """What would be accepted; nothing is accepted yet.

        Raises:
            PaymentNotFoundError: the ledger knows no payment of that record.
            NothingToAcceptError: there is no excess, or something of the payment is still open.
            RefundBridgeError: Stripe or the processor could not be read now.
            LedgerConflictError: the payment changes too fast; weigh it again.
            LedgerUnavailableError: the ledger gave no answer.
        """
        key = self.ledger.payment_of_record(payment_record)
        payment = None if key is None else self.ledger.payment(key)
        if payment is None:
            raise PaymentNotFoundError(f"The ledger knows no payment of {payment_record}.")
        sums = self.read_sums(payment, payment_record, deadline)
        amount = excess_to_accept(
            sums.lines, sums.unexplained, slot_taken=sums.payment.slot is not None
        )
        if amount == 0:
            beyond = Money(sums.unexplained, sums.payment.currency).for_people()
            raise NothingToAcceptError(
                f"{payment_record}: Stripe's refunded sum less what was reported is {beyond}. An "
                "excess can be accepted when that is more than 0, and when no refund of the "
                "payment is open, waits for its report or failed to be reported."
            )
        return Excess(sums=sums, amount=amount)

    def carry_out(
        self, payment_record: str, reason: str, agreed: Excess, deadline: Deadline
    ) -> Excess:
        """Accept the excess, if it is still the same amount; durable on return.

        Raises:
            NothingToAcceptError: the amount has changed; weigh it again.
            PaymentNotFoundError, RefundBridgeError, LedgerConflictError: as ``weigh``.
            LedgerUnavailableError: it is not known whether it was written; weigh it again.
        """
        now = self.weigh(payment_record, deadline)
        if now.amount != agreed.amount:
            raise NothingToAcceptError(f"{payment_record} shows another amount by now.")
        payment = now.sums.payment
        accepted = payment.accepted_excess + now.amount
        after = replace(payment, accepted_excess=accepted, unexplained=0)
        why = Why(
            at_ms=self.clock.now_ms(),
            cause="excess_accepted",
            actor=self.actor,
            evidence={"amount": now.amount, "reason": reason[:REASON_MAX]},
        )
        # A payment has no history: the history of its newest refund keeps who accepted it, and why.
        refunds = sorted(now.sums.refunds.values(), key=lambda one: one.created_at_ms)[-1:]
        writes = [RefundWrite(refund, noted(refund, why)) for refund in refunds]
        self.ledger.commit(Commit(refunds=writes, payments=(PaymentWrite(payment, after),)))
        self.telemetry.note("excess_accepted", payment_record=payment_record, amount=now.amount)
        return now
