"""What the use cases ask of a payment processor, and what its adapter says that it can do."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from refund_bridge.domain.charge import Charge, ListedCharge, ProcessorRefund
from refund_bridge.domain.instruction import Instruction, Outcome, UnlinkedInstruction
from refund_bridge.ports.runtime import Deadline


class Dedupe(StrEnum):
    """How it comes out that an instruction has arrived at a processor before.

    ``by_key``: it keeps our refund's id and refuses a second instruction that carries it.
    ``by_look_up``: its refunds can be looked at before and after. ``not_at_all``: only a person can
    tell.
    """

    BY_KEY = "by_key"
    BY_LOOK_UP = "by_look_up"
    NOT_AT_ALL = "not_at_all"


class LookUp(StrEnum):
    """By what a processor shows a refund that it has made.

    ``by_refund``: by its own id (``processor_refund``). ``by_payment``: in the payment
    (``charge``); where this is missing, payments cannot be read at all.
    """

    BY_REFUND = "by_refund"
    BY_PAYMENT = "by_payment"


class News(StrEnum):
    """How this product learns what becomes of a refund: it is told, or it asks."""

    WEBHOOK = "webhook"
    POLLING = "polling"


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a processor can do, as its adapter declares it; the use cases go by this, not by names.

    Attributes:
        partial: whether less than the payment can be refunded ...
        repeated_partial: ... and more than once.
        unlinked: whether money can go to a customer without a payment (``refund_unlinked``).
        may_be_pending: whether a refund may be accepted and only later succeed or fail.
        lists_charges: whether all refunded payments can be walked through (``charges``).
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
        """Whether an instruction that carries our refund's id again moves nothing again."""
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
        cursor: where the next page begins, in the adapter's own words; ``None`` at the end.
    """

    charges: tuple[ListedCharge, ...]
    cursor: str | None


class ChargeNotFoundError(Exception):
    """The processor knows no payment of that id."""


class ProviderUnavailableError(Exception):
    """A read got no usable answer within its attempts and deadline.

    Attributes:
        reason: for logs; no secret, no customer's data.
        retry_after_s: the provider's own wish, if it gave one.
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
    """The provider does not accept the credential, nor the one that was read anew: a fault of the
    set-up, and no outage."""


class UnreadableAnswerError(ProviderUnavailableError):
    """The provider answered, but with nothing that can be used; it is there, and no outage."""


class UnreadablePageError(UnreadableAnswerError):
    """A page of the list of payments cannot be used.

    Attributes:
        beyond: the cursor of a list that begins a day before that page; ``None``: at its newest.
    """

    def __init__(self, message: str, beyond: str | None) -> None:
        super().__init__(message)
        self.beyond: Final = beyond


class Processor(Protocol):
    """Moves the money."""

    @property
    def name(self) -> str:
        """As in metadata (``<name>_payment_id``) and on the refund."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do. A read that it cannot do raises ``UnreadableAnswerError``."""

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; only with ``LookUp.BY_PAYMENT``.

        Raises:
            ChargeNotFoundError: the processor knows none.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of the one succeeded payment of a payment request.

        Raises:
            ChargeNotFoundError: there is no such request, or not exactly one succeeded payment.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """What the merchant's own system calls the payment, if the processor was told.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of all payments of which something was refunded, newest first.

        Others may be among them. A ``cursor`` of ``None`` asks for the first page.

        Raises:
            UnreadablePageError: the answer cannot be used; ``cursor`` may have grown old.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def processor_refund(
        self, processor_refund_id: str, deadline: Deadline
    ) -> ProcessorRefund | None:
        """The refund of that id, ``None`` if the processor knows none; only with
        ``LookUp.BY_REFUND``.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def find_by_key(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> ProcessorRefund | None:
        """What became of the instruction whose key is our refund's id; only with ``Dedupe.BY_KEY``.

        ``payment_id`` is what it was to refund, ``None`` for an unlinked refund. ``None`` means
        that the processor said that it has no such instruction; one may still be on its way.

        Raises:
            UnreadableAnswerError: it cannot be asked that, or shows another payment's refund.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def refund(self, instruction: Instruction, deadline: Deadline) -> Outcome:
        """Ask, exactly once, to move the money. Never raises for what the network does.

        ``CredentialRefused`` says whether asking once more with another credential is of use.

        The outcome of a ``repeated`` instruction is ``Accepted`` or ``Unknown``: what this asking
        came to says nothing of the one before it.
        """

    def refund_unlinked(self, instruction: UnlinkedInstruction, deadline: Deadline) -> Outcome:
        """As ``refund``, without a payment; ``Rejected`` without asking if it cannot do that."""
