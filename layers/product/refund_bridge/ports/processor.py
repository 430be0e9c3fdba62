"""The port of a payment processor, and the capabilities that its adapter declares."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from refund_bridge.domain.charge import Charge, ListedCharge, ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome, UnlinkedInstruction
from refund_bridge.ports.runtime import Deadline


class Dedupe(StrEnum):
    """How a duplicate instruction is detected.

    ``by_key``: the processor keeps our refund's id and refuses a second instruction with it.
    ``by_look_up``: we read its refunds before and after sending. ``not_at_all``: only a person can
    tell.
    """

    BY_KEY = "by_key"
    BY_LOOK_UP = "by_look_up"
    NOT_AT_ALL = "not_at_all"


class LookUp(StrEnum):
    """How a refund can be read at a processor.

    ``by_refund``: by its own id (``processor_refund``). ``by_payment``: in the payment
    (``charge``); a processor without this one shows no payments at all.
    """

    BY_REFUND = "by_refund"
    BY_PAYMENT = "by_payment"


class News(StrEnum):
    """How this product learns what becomes of a refund: by webhook or by polling."""

    WEBHOOK = "webhook"
    POLLING = "polling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a processor can do, as its adapter declares it.

    The use cases decide by these capabilities, never by a processor's name.

    Attributes:
        dedupes: how a duplicate instruction is detected.
        looks_up: how its refunds can be read.
        partial: whether less than the payment can be refunded.
        repeated_partial: whether a payment can be partially refunded more than once.
        unlinked: whether money can go to a customer without a payment (``refund_unlinked``).
        may_be_pending: whether a refund may be accepted and only later succeed or fail.
        learns_by: how this product learns what becomes of a refund.
        lists_charges: whether all refunded payments can be listed, page by page (``charges``).
    """

    dedupes: Dedupe
    looks_up: frozenset[LookUp]
    partial: bool
    repeated_partial: bool
    unlinked: bool
    may_be_pending: bool
    learns_by: News
    lists_charges: bool

    @property
    def keeps_keys(self) -> bool:
        """Whether the processor keeps our refund's id, so that repeating it moves no more money."""
        return self.dedupes is Dedupe.BY_KEY

    @property
    def shows_payments(self) -> bool:
        """Whether a payment can be read, with its refunds (``charge``)."""
        return LookUp.BY_PAYMENT in self.looks_up

    @property
    def shows_refunds(self) -> bool:
        """Whether a refund can be read by its own id (``processor_refund``)."""
        return LookUp.BY_REFUND in self.looks_up


@dataclass(frozen=True, slots=True)
class ChargePage:
    """A page of the processor's list of payments, newest first.

    Attributes:
        cursor: where the next page begins, in a form of the adapter's own; ``None`` at the end.
    """

    charges: tuple[ListedCharge, ...]
    cursor: str | None


class ChargeNotFoundError(Exception):
    """The processor knows no payment of that id."""


class ProviderUnavailableError(Exception):
    """A read got no usable answer within its attempts and deadline.

    Attributes:
        reason: for logs; no secret, no customer's data.
        retry_after_s: how long the provider asked us to wait, if it did.
        was_asked: whether the provider was really asked; if not, ``reason`` is ours alone.
    """

    def __init__(
        self, reason: str, *, retry_after_s: int | None = None, was_asked: bool = True
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.was_asked = was_asked


class CredentialRefusedError(ProviderUnavailableError):
    """The provider accepts neither the credential nor the one that was read anew.

    This is a wrong configuration, not an outage.
    """


class UnreadableAnswerError(ProviderUnavailableError):
    """The provider answered, but the answer cannot be used. This is not an outage."""


class UnreadablePageError(UnreadableAnswerError):
    """A page of the list of payments cannot be used.

    Attributes:
        beyond: a cursor that skips the page, to a list that begins a day earlier; ``None``: at the
            newest payment.
    """

    def __init__(self, message: str, beyond: str | None) -> None:
        super().__init__(message)
        self.beyond: Final = beyond


class Processor(Protocol):
    """A payment processor: reads payments and refunds, and moves money."""

    @property
    def name(self) -> str:
        """Its name, as in metadata (``<name>_payment_id``) and on the refund."""

    @property
    def capabilities(self) -> Capabilities:
        """What the processor can do. A read that it cannot do raises ``UnreadableAnswerError``."""

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; only with ``LookUp.BY_PAYMENT``.

        Raises:
            ChargeNotFoundError: the processor knows no such payment.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of the one succeeded payment of a payment request.

        Raises:
            ChargeNotFoundError: there is no such request, or not exactly one succeeded payment.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """The merchant's own reference of the payment, if the processor has one.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of all payments of which something was refunded, newest first.

        Payments without refunds may be among them. A ``cursor`` of ``None`` asks for the first
        page.

        Raises:
            UnreadablePageError: the answer cannot be used; ``cursor`` may be too old.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id, ``None`` if the processor knows none.

        Only with ``LookUp.BY_REFUND``.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        """Find by our idempotency key what became of an instruction; only with ``Dedupe.BY_KEY``.

        The key is our refund's id. ``payment_id`` is the payment to refund, ``None`` for an
        unlinked refund. Returns ``None`` if the processor said that it has no such instruction; one
        may still be on its way to it.

        Raises:
            UnreadableAnswerError: the processor cannot be asked this, or shows a refund of another
                payment.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask the processor, exactly once, to move the money. Never raises for network errors.

        The outcome ``CredentialRefused`` says whether it helps to ask again with a new credential.

        The outcome of a ``repeated`` instruction is ``Accepted`` or ``Unknown``: a refusal of this
        retry does not tell whether the first attempt was executed.
        """

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        """As ``refund``, without a payment; ``Rejected`` unasked if the processor cannot do it."""
