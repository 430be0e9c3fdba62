"""Instructions: what we ask a processor to do, and the possible outcomes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from refund_bridge.domain.charge import ProcessorRefund
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """An instruction to refund a payment.

    Attributes:
        listed_before: ids of all refunds that the payment listed before this instruction; ``None``:
            the payment was not read, or lists none that can be read. If the answer names all
            refunds of the payment and does not say which is ours, ours is the one not in this set.
        repeated: whether the processor may already have received an instruction of this
            ``refund_id``. Such an instruction is only sent to processors that dedupe by key.
    """

    refund_id: str
    payment_id: str
    money: Money
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    listed_before: frozenset[str] | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkedInstruction:
    """An instruction to send money to a customer, without a payment.

    Attributes:
        payment_method: where the money goes, by the processor's id.
        kind: the kind of payment method, as the caller says; ``None`` if the caller does not say.
        customer: whose payment method it is, in the processor's own members, such as ``hsid``; not
            shown.
        repeated: as in ``Instruction``.
    """

    refund_id: str
    money: Money
    payment_method: str
    kind: PaymentMethodKind | None = None
    customer: Mapping[str, str] = field(repr=False)
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Accepted:
    """The processor accepted the refund; amount, currency and payment (or method) are as asked."""

    processor_refund: ProcessorRefund


@dataclass(frozen=True, slots=True)
class Rejected:
    """The processor refused, finally: no money moved and none will.

    Attributes:
        status: the HTTP status of the refusal; 422 where the adapter itself refused to ask.
        code: the processor's, or the adapter's, where there is one.
        details: amounts that the processor named, minor units: ``original_amount``,
            ``already_refunded``, ``remaining_refundable``, ``requested_refund``.
        was_asked: whether the processor itself refused, so that it is certainly reachable.
    """

    message: str
    status: int
    code: str | None = None
    details: Mapping[str, int] = field(default_factory=dict)
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class Aborted:
    """It is certain that the processor executed nothing."""

    reason: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class CredentialRefused(Aborted):
    """The processor does not accept the credential, so it executed nothing.

    Attributes:
        replaced: whether a new credential has been read, so that sending the instruction once more
            at once may work. The caller checks the lease again before it sends.
    """

    replaced: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """It is not known whether the processor executed the refund."""

    reason: str


Outcome = Accepted | Rejected | Aborted | Unknown
