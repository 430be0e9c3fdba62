"""What the use cases ask of the world, each promise in words.

The adapters keep these promises with DynamoDB, SQS, Stripe and HitPay; the tests keep them in
memory. One contract suite runs against both (``tests/contract``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from refunds.money import Money
from refunds.payment import Payment, PaymentKey
from refunds.refund import Refund, ReportParameters

_A = TypeVar("_A")
_B = TypeVar("_B")

# --- time ---------------------------------------------------------------------------------------


class Clock(Protocol):
    """Wall time for what is stored, monotonic time for what is waited for."""

    def now_ms(self) -> int:
        """Unix time in milliseconds."""

    def monotonic_ms(self) -> int:
        """Milliseconds from an arbitrary start; never goes back."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment by which work must have ended, on the monotonic clock."""

    clock: Clock
    ends_ms: int

    @classmethod
    def after(cls, clock: Clock, milliseconds: int) -> "Deadline":
        """The deadline that many milliseconds from now."""
        return cls(clock, clock.monotonic_ms() + milliseconds)

    def remaining_ms(self) -> int:
        """How much time is left; 0 when it is over."""
        return max(0, self.ends_ms - self.clock.monotonic_ms())

    def at_most(self, milliseconds: int) -> "Deadline":
        """The earlier of this deadline and that many milliseconds from now."""
        return Deadline(self.clock, min(self.ends_ms, self.clock.monotonic_ms() + milliseconds))


# --- the ledger ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RefundWrite:
    """Replace ``before`` (``None``: must not exist) by ``after``."""

    before: Refund | None
    after: Refund


@dataclass(frozen=True, slots=True)
class PaymentWrite:
    """Replace ``before`` (``None``: must not exist) by ``after``."""

    before: Payment | None
    after: Payment


@dataclass(frozen=True, slots=True)
class RecordClaim:
    """The Payment Record books this payment and no other, for ever."""

    payment_record: str
    payment: PaymentKey


@dataclass(frozen=True, slots=True)
class MovementClaim:
    """The processor's refund belongs to this refund and to no other, for ever."""

    processor: str
    processor_refund_id: str
    refund_id: str


Claim = RecordClaim | MovementClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Writes that become durable together or not at all."""

    refunds: Sequence[RefundWrite] = ()
    payments: Sequence[PaymentWrite] = ()
    claims: Sequence[Claim] = ()


class LedgerConflictError(Exception):
    """Something that the commit was computed from has changed since it was read.

    Nothing of the commit was written. Read again and decide again.
    """


class ClaimConflictError(LedgerConflictError):
    """A claim of the commit is held by somebody else; nothing of the commit was written.

    Attributes:
        claim: the claim that was refused.
    """

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"{claim} is already held by another")
        self.claim = claim


class LedgerUnavailableError(Exception):
    """The ledger gave no answer: a read has no result, a write may or may not be durable."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one look into the ledger says about a key and a Payment Record."""

    refund: Refund | None
    payment: PaymentKey | None


DUE_SHARDS: Final = 8


class Ledger(Protocol):
    """The truth. Every read is strongly consistent; every method may raise
    ``LedgerUnavailableError``."""

    def refund(self, refund_id: str) -> Refund | None:
        """The refund of that id, with everything that is durable now."""

    def look_up(self, refund_id: str, payment_record: str | None) -> Known:
        """The refund of that id and the payment that the Payment Record is claimed by.

        One round trip.
        """

    def payment_of_record(self, payment_record: str) -> PaymentKey | None:
        """The payment that the Payment Record is claimed by."""

    def payment(self, key: PaymentKey) -> Payment | None:
        """The payment of that key."""

    def payment_and_claims(
        self, key: PaymentKey, processor_refund_ids: Sequence[str]
    ) -> tuple[Payment | None, Mapping[str, str]]:
        """``payment(key)`` and ``claimed(key.processor, processor_refund_ids)`` in one look.

        One round trip for up to 99 ids, one more for every further 100.
        """

    def claimed(self, processor: str, processor_refund_ids: Sequence[str]) -> Mapping[str, str]:
        """Of these processor refund ids, those that are claimed, with the refund that claims each.

        At most 1,000 ids.
        """

    def commit(self, commit: Commit) -> None:
        """Write all of ``commit`` or nothing; on return it is durable.

        Each refund and payment is replaced only if its stored revision is still that of ``before``
        and its stored state is one that the transition table lets ``after`` follow; what is stored
        has ``before.revision + 1`` (1 for a new item), whatever ``after.revision`` says. A claim is
        made if nobody holds it, and confirmed if its holder is the same.

        Raises:
            ClaimConflictError: a claim is held by somebody else; nothing was written.
            LedgerConflictError: an item has changed; nothing was written.
            LedgerUnavailableError: it is not known whether anything was written.
            IllegalTransitionError: the transition table has no such step; nothing was sent.
        """

    def take_check(self, refund_id: str, *, now_ms: int, until_ms: int) -> Refund | None:
        """Take a refund that is due for settling, in one round trip.

        If its ``next_check_ms`` is set and not after ``now_ms``: it is set to ``until_ms``, the
        revision raised, both durable, and the refund is returned as stored. Otherwise nothing
        changes and ``None`` is returned.
        """

    def due(
        self, shard: int, *, before_ms: int, limit: int, newest_first: bool = False
    ) -> Sequence[str]:
        """Ids of refunds of one of ``DUE_SHARDS`` shards that were due before ``before_ms``.

        From an index, so eventually consistent: an id may be missing for a moment, or be there
        though nothing is due any more.
        """

    def take_report(self, refund_id: str, *, now_ms: int, lease_until_ms: int) -> Refund | None:
        """Take a due report for one attempt, in one round trip.

        If the report is ``due`` and no lease on it is live at ``now_ms``: the lease is set, the
        attempt is counted, the revision raised, all durable, and the refund is returned as stored.
        Otherwise nothing changes and ``None`` is returned; read the refund to see why.
        """


# --- the processor ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A refund as the processor shows it.

    Attributes:
        status: ours: ``succeeded``, ``pending`` or ``failed``; the processor's own word is in
            ``processor_status``.
        refunded_at_ms: when the money moved, Unix milliseconds, if the processor says so.
        created_at_ms: when the processor made the refund, if it says so.
    """

    id: str
    payment_id: str
    money: Money
    status: "MovementStatus"
    processor_status: str | None = None
    refunded_at_ms: int | None = None
    created_at_ms: int | None = None


class MovementStatus(StrEnum):
    """What became of a movement, in this product's words."""

    SUCCEEDED = "succeeded"
    PENDING = "pending"
    FAILED = "failed"


class ChargeStatus(StrEnum):
    """Whether a charge can be refunded, in this product's words."""

    REFUNDABLE = "refundable"
    REFUNDED = "refunded"
    NOT_REFUNDABLE = "not_refundable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A payment as the processor shows it.

    Attributes:
        id: as the processor spells it.
        refunded: what it says was refunded in all, minor units.
        movements: the refunds it lists, or ``None`` if it lists none in a form that can be read.
        method: the payment method's name at the processor, if it says so.
    """

    id: str
    status: ChargeStatus
    processor_status: str
    money: Money
    refunded: int
    movements: tuple[Movement, ...] | None
    method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """What the processor is asked to move."""

    refund_id: str
    payment_id: str
    money: Money
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The processor has the refund; amount, currency and payment are as asked."""

    movement: Movement


@dataclass(frozen=True, slots=True)
class Rejected:
    """The processor refused, finally: no money moved and none will."""

    message: str
    status: int
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Aborted:
    """It is certain that the processor executed nothing."""

    reason: str
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It is not known whether the processor executed the refund."""

    reason: str


Outcome = Accepted | Rejected | Aborted | Unknown


class ChargeNotFoundError(Exception):
    """The processor knows no payment of that id."""


class ProviderUnavailableError(Exception):
    """A read got no usable answer within its attempts and deadline.

    Attributes:
        reason: for logs; no secret, no customer's data.
        retry_after_s: the provider's own wish, if it gave one.
    """

    def __init__(self, reason: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class UnreadableAnswerError(ProviderUnavailableError):
    """The provider answered, but with nothing that can be used; it is there, and no outage."""


class Processor(Protocol):
    """Moves the money."""

    @property
    def name(self) -> str:
        """As in metadata (``<name>_payment_id``) and on the refund."""

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id.

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

    def movement(self, processor_refund_id: str, deadline: Deadline) -> Movement | None:
        """The refund of that id, ``None`` if the processor knows none.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def refund(self, order: RefundOrder, deadline: Deadline) -> Outcome:
        """Ask, exactly once, to move the money. Never raises for what the network does."""


# --- Stripe -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A Stripe Payment Record; amounts in minor units of ``currency``."""

    id: str
    livemode: bool
    currency: str
    amount_requested: int
    amount_guaranteed: int
    amount_refunded: int
    amount_canceled: int
    metadata: Mapping[str, str]
    payment_reference: str | None

    @property
    def captured(self) -> int:
        """What was captured: Stripe's ``amount_guaranteed`` is net of refunds."""
        return self.amount_guaranteed + self.amount_refunded


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeReference:
    """A PaymentIntent or an Invoice, as far as it leads to a Payment Record."""

    id: str
    livemode: bool
    metadata: Mapping[str, str]


class StripeObjectNotFoundError(Exception):
    """Stripe knows no such object with this key; its message says more (the other mode, say)."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """Stripe has booked the refund."""


@dataclass(frozen=True, slots=True)
class ReportUnclear:
    """No usable answer: Stripe may or may not have booked it. Ask again.

    Attributes:
        new_epoch: whether the answer is stored at Stripe under this idempotency key (a received
            5xx, an idempotency error), so that asking again needs another key.
        retry_after_s: Stripe's wish, if it gave one.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class ReportRefused:
    """Stripe answered that it will not book this. ``code`` is Stripe's, where it gave one."""

    reason: str
    code: str | None = None


ReportOutcome = ReportAccepted | ReportUnclear | ReportRefused


class Book(Protocol):
    """Stripe, which keeps the book."""

    def payment_record(self, payment_record: str, deadline: Deadline) -> PaymentRecord:
        """The Payment Record of that id.

        Raises:
            StripeObjectNotFoundError: Stripe knows none with this key.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def payment_intent(self, payment_intent: str, deadline: Deadline) -> StripeReference:
        """The PaymentIntent of that id; raises as ``payment_record`` does."""

    def invoice(self, invoice: str, deadline: Deadline) -> StripeReference:
        """The Invoice of that id; raises as ``payment_record`` does."""

    def report_refund(
        self, parameters: ReportParameters, idempotency_key: str, deadline: Deadline
    ) -> ReportOutcome:
        """Tell Stripe of a refund, in one attempt. Never raises for what the network does."""


# --- the rest -----------------------------------------------------------------------------------


class DoorbellError(Exception):
    """The message may not have been queued; the ledger still knows that the report is due."""


class Doorbell(Protocol):
    """Wakes the reporter; carries an id, never a fact."""

    def ring(self, refund_id: str) -> None:
        """Queue one message that names the refund.

        Raises:
            DoorbellError: it may not have been queued.
        """


class Together(Protocol):
    """Runs calls side by side; all have ended on return."""

    def both(self, first: Callable[[], _A], second: Callable[[], _B]) -> tuple[_A, _B]:
        """Both results; an error of ``first`` is raised first."""

    def each(self, function: Callable[[str], object], things: Sequence[str]) -> None:
        """Call ``function`` for each of ``things``, a bounded number at once."""


class Trail(Protocol):
    """Where the use cases say what happened, for logs and metrics."""

    def note(self, event: str, **facts: str | int | bool | Decimal | None) -> None:
        """Record one event. Never raises, never given a secret or a customer's data."""
