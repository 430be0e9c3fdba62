"""Reads one refund from the ledger, if the caller wants after a check at the processor."""

from dataclasses import dataclass

from refund_bridge.domain.errors import RefundNotFoundError
from refund_bridge.domain.payment import Payment, payment_key_of
from refund_bridge.domain.refund import Refund
from refund_bridge.ports.ledger import Ledger
from refund_bridge.ports.runtime import Deadline
from refund_bridge.settling.settle import SettleRefund


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRefund:
    """Reads refunds by their ids."""

    ledger: Ledger
    settle: SettleRefund

    def __call__(
        self, refund_id: str, *, sync_until: Deadline | None = None
    ) -> tuple[Refund, Payment | None]:
        """The refund as the ledger has it now, and its payment.

        With ``sync_until`` a refund that is not final is first checked at the processor, until that
        deadline. If the check fails, that is no error: the ledger's refund is returned.

        Raises:
            RefundNotFoundError: there is no refund of this id.
            LedgerUnavailableError: the ledger could not be read, or not be written for the check.
        """
        refund = self.ledger.refund(refund_id)
        if refund is not None and sync_until is not None:
            self.settle.look_now(refund_id, sync_until)
            refund = self.ledger.refund(refund_id)
        if refund is None:
            raise RefundNotFoundError(
                "There is no refund of this id.", details={"refund": refund_id}
            )
        return refund, self.ledger.payment(payment_key_of(refund))
