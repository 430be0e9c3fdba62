"""A person takes back the link between a Payment Record and a charge: a mistake in metadata."""

from dataclasses import dataclass, replace

from refund_bridge.domain.errors import PaymentNotFoundError
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment
from refund_bridge.ports.ledger import Commit, Ledger, PaymentWrite
from refund_bridge.ports.runtime import Telemetry


class LinkInUseError(Exception):
    """A refund of the payment moved money or still may; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlink:
    """Removes a link under which no money moved, so that the next refund links the record anew.

    Attributes:
        actor: who decides.
    """

    ledger: Ledger
    telemetry: Telemetry
    actor: str

    def weigh(self, payment_record: str) -> Payment:
        """The payment that would lose its Payment Record; nothing is written.

        Raises:
            PaymentNotFoundError: the ledger has no such link.
            LinkInUseError: a refund of the payment moved money or still may.
            LedgerUnavailableError: the ledger gave no answer.
        """
        key = self.ledger.payment_of_record(payment_record)
        payment = None if key is None else self.ledger.payment(key)
        if payment is None or payment.payment_record != payment_record:
            raise PaymentNotFoundError(f"The ledger links {payment_record} to no payment.")
        if not payment.is_unused:
            held = Money(payment.held, payment.currency).for_people()
            raise LinkInUseError(
                f"{payment_record} is linked to {payment.key.charge_id}, of which {held} was "
                "refunded or may still be: that link stays."
            )
        return payment

    def carry_out(self, payment_record: str) -> Payment:
        """Take the link back; durable on return.

        Raises:
            PaymentNotFoundError, LinkInUseError: as ``weigh``.
            LedgerConflictError: the payment changes; weigh it again.
            LedgerUnavailableError: it is not known whether it was written; weigh it again.
        """
        payment = self.weigh(payment_record)
        after = replace(payment, payment_record=None)
        self.ledger.commit(Commit(payments=(PaymentWrite(payment, after),)))
        self.telemetry.note("unlinked", payment_record=payment_record, actor=self.actor)
        return after
