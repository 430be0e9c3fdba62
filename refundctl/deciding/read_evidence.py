"""What the processor shows now of a refund that a person decides about."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import (
    ChargeNotFoundError,
    Processor,
    ProviderUnavailableError,
    UnreadableAnswerError,
)
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.refunding.look_up import found_by_key, processor_refund_of

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Evidence:
    """Reads it, as far as it can be read.

    Attributes:
        accounts: as in ``Reservation``.
        hold_ms: the late-arrival window: how long after it was sent an instruction may still be
            executed.
        despite: the person decides despite it, and does not have to wait for ever for a processor
            that gives no answer: once the refund has waited for long, no answer counts as "not
            shown". In every other case no answer raises ProviderUnavailableError.
    """

    processors: Mapping[str, Processor]
    accounts: Mapping[str, str]
    clock: Clock
    hold_ms: int
    despite: bool

    def processor_refund(
        self, refund: Refund, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The processor refund; ``None`` if it is not shown in a form that can be read."""
        processor, payment_id = self._processor(refund), refund.refunded_payment
        if processor is None:
            return None
        return self._seen(
            refund,
            lambda: processor_refund_of(processor, processor_refund_id, payment_id, deadline),
        )

    def made(self, refund: Refund, deadline: Deadline) -> Sequence[ProcessorRefund] | None:
        """The processor refunds among which ours would be; ``None`` if the processor shows none.

        A processor that keeps idempotency keys is asked by ours, any other for the payment's list.
        """
        processor = self._processor(refund)
        if processor is None:
            return None
        if processor.capabilities.keeps_keys:
            return self._seen(refund, lambda: found_by_key(processor, refund, deadline))
        return self.listed(refund, deadline)

    def listed(self, refund: Refund, deadline: Deadline) -> Sequence[ProcessorRefund] | None:
        """The processor refunds on its payment; ``None`` if they cannot be read."""
        processor, payment_id = self._processor(refund), refund.refunded_payment
        if processor is None or payment_id is None or not processor.capabilities.shows_payments:
            return None
        try:
            charge = self._seen(refund, lambda: processor.charge(payment_id, deadline))
        except ChargeNotFoundError:
            return None
        return None if charge is None else charge.processor_refunds

    def waited_long(self, refund: Refund) -> bool:
        """Whether the refund has waited for longer than an instruction can take to arrive.

        An unknown refund must have waited twice as long: within the late-arrival window settling
        checks it, and then passes it to a person, unless the processor gives no answer at all.
        """
        if refund.state is State.UNKNOWN:
            return self.clock.now_ms() - refund.last_sent_at_ms >= 2 * self.hold_ms
        return self.clock.now_ms() - refund.entered_at_ms >= self.hold_ms

    def _processor(self, refund: Refund) -> Processor | None:
        """The refund's processor; ``None`` if it is not set up, or with another account by now."""
        if refund.account not in (None, self.accounts.get(refund.processor)):
            return None
        return self.processors.get(refund.processor)

    def _seen(self, refund: Refund, look: Callable[[], _T]) -> _T | None:
        """What the processor shows; ``None`` if we cannot read its answer."""
        try:
            return look()
        except UnreadableAnswerError:
            return None
        except ProviderUnavailableError:
            if not (self.despite and self.waited_long(refund)):
                raise
            return None
