"""What the use cases ask of the world, each promise in words.

The adapters keep these promises with DynamoDB, SQS, Stripe and HitPay; the tests keep them in
memory. One contract suite runs against both (``tests/contract``).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Protocol, TypeVar

from refunds.arrival import Arrival
from refunds.money import Money
from refunds.payment import Payment, PaymentKey
from refunds.refund import PaymentMethodKind, Refund, ReportParameters

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
    """The Payment Record books this payment and no other.

    Attributes:
        instead_of: the payment that held it, whose refunds all moved nothing: the link is mended.
    """

    payment_record: str
    payment: PaymentKey
    instead_of: PaymentKey | None = None


@dataclass(frozen=True, slots=True)
class MovementClaim:
    """The processor's refund belongs to this refund and to no other.

    Attributes:
        instead_of: the refund that held it, which a person has decided not to be it after all.
    """

    processor: str
    processor_refund_id: str
    refund_id: str
    instead_of: str | None = None


Claim = RecordClaim | MovementClaim


@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutCount:
    """An amount that counts towards what is paid out on one day; minor units.

    Attributes:
        day: of UTC, such as ``2024-02-29``.
        at_most: what all of that day and currency may come to with it.
    """

    day: str
    currency: str
    amount: int
    at_most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """Writes that become durable together or not at all."""

    refunds: Sequence[RefundWrite] = ()
    payments: Sequence[PaymentWrite] = ()
    claims: Sequence[Claim] = ()
    payouts: Sequence[PayoutCount] = ()


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


class PayoutsReachedError(LedgerConflictError):
    """A day would come to more than it may; nothing of the commit was written.

    Attributes:
        count: the one that was refused.
    """

    def __init__(self, count: PayoutCount) -> None:
        super().__init__(f"the payouts of {count.day} would exceed {count.at_most}")
        self.count = count


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
        made if nobody holds it or whom it names instead of, and confirmed if its holder is the
        same. A payout is added to its day's sum if that stays within what it allows.

        Raises:
            ClaimConflictError: a claim is held by somebody else; nothing was written.
            PayoutsReachedError: a day's sum would be exceeded; nothing was written.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """How far the walk through a processor's payments has come.

    Attributes:
        since_ms: what was refunded before then is taken to be older than this service.
        cursor: where the next run goes on; ``None``: at the newest payment.
        tries: how often the page there could not be read.
    """

    processor: str
    since_ms: int
    cursor: str | None = None
    tries: int = 0
    revision: int = 0


class SweepLog(Protocol):
    """Remembers sweeps. Every method may raise ``LedgerUnavailableError``."""

    def sweep(self, processor: str, *, begin_ms: int) -> Sweep:
        """The sweep of that processor; the first time it is begun, durably, at ``begin_ms``."""

    def move_sweep(self, before: Sweep, cursor: str | None, *, tries: int = 0) -> Sweep:
        """The sweep at ``cursor``, durably; ``tries`` as in ``Sweep``.

        Raises:
            LedgerConflictError: another run has moved it; nothing was written.
        """


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One refund of a batch.

    Attributes:
        refund_id: derived from its idempotency key.
        digest: of everything that is asked for by it; 11 characters.
    """

    refund_id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Refunds that somebody asks for together, under a name of theirs.

    Attributes:
        actor: who wrote it last.
        at_ms: when, Unix milliseconds.
        revision: counts its writes; 0 before the first.
    """

    name: str
    rows: tuple[BatchRow, ...]
    actor: str
    at_ms: int
    revision: int = 0


class BatchLog(Protocol):
    """Remembers which refunds a batch holds. Every method may raise ``LedgerUnavailableError``."""

    def batch(self, name: str) -> Batch | None:
        """The batch of that name."""

    def keep(self, batch: Batch) -> Batch:
        """The batch, durably, in place of the one with its revision (0: of none).

        Raises:
            LedgerConflictError: somebody else has written it meanwhile; nothing was written.
        """


# --- listing ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OfPayment:
    """The refunds of one payment."""

    key: PaymentKey


@dataclass(frozen=True, slots=True)
class OfPaymentIntent:
    """The refunds that were asked for by this PaymentIntent."""

    payment_intent: str


@dataclass(frozen=True, slots=True)
class OfInvoice:
    """The refunds that were asked for by this Invoice."""

    invoice: str


@dataclass(frozen=True, slots=True)
class OfMonth:
    """The refunds created in one month of UTC, such as ``2024-02``.

    Attributes:
        status: the public status that they have; ``None`` for any.
    """

    month: str
    status: str | None = None


Selection = OfPayment | OfPaymentIntent | OfInvoice | OfMonth


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """A place in a listing: refunds stand by the time of their creation, then by their ids.

    Attributes:
        created_at_ms: Unix milliseconds, not negative.
        refund_id: empty for the place just before all refunds of that millisecond.
    """

    created_at_ms: int
    refund_id: str = ""


# 10000-01-01: later than any refund, and than any time that can be written in RFC 3339.
LAST_MS: Final = 253_402_300_800_000
FIRST_PLACE: Final = Position(0)
LAST_PLACE: Final = Position(LAST_MS)


class Listing(Protocol):
    """What the ledger holds, many at a time. Every method may raise ``LedgerUnavailableError``."""

    def newest(
        self, selection: Selection, *, after: Position, before: Position, limit: int
    ) -> Sequence[Position]:
        """Where the selected refunds between two places stand, newest first, at most ``limit``.

        Both places are excluded. Fewer than ``limit`` are all that there are. From an index, so
        eventually consistent: a refund may be missing for a moment, or be there though its status
        has changed. One round trip.
        """

    def oldest(
        self,
        selection: Selection,
        *,
        after: Position = FIRST_PLACE,
        before: Position = LAST_PLACE,
        limit: int,
    ) -> Sequence[Position]:
        """The same, oldest first."""

    def count(self, selection: Selection) -> int:
        """How many refunds are selected, from an index, as ``newest``.

        One round trip, so of some ten thousand refunds only the first are counted.
        """

    def refunds(self, refund_ids: Sequence[str]) -> Mapping[str, Refund]:
        """Those of these refunds that exist, as they are now, by their ids.

        Strongly consistent one by one. One round trip for every 100 ids.
        """

    def payments(self, keys: Sequence[PaymentKey]) -> Mapping[PaymentKey, Payment]:
        """Those of these payments that exist, as they are now, by their keys; as ``refunds``."""


# --- the processor ------------------------------------------------------------------------------

# So many refunds of one charge can be told apart; nobody makes as many by hand.
MOVEMENTS_MAX: Final = 1000


class Dedupe(StrEnum):
    """How it comes out that an order has arrived at a processor before.

    ``by_key``: it keeps our refund's id and refuses a second order that carries it. ``by_look_up``:
    its refunds can be looked at before and after. ``not_at_all``: only a person can tell.
    """

    BY_KEY = "by_key"
    BY_LOOK_UP = "by_look_up"
    NOT_AT_ALL = "not_at_all"


class LookUp(StrEnum):
    """By what a processor shows a refund that it has made.

    ``by_refund``: by its own id (``movement``). ``by_payment``: in the payment (``charge``); where
    this is missing, payments cannot be read at all.
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
        """Whether an order that carries our refund's id again moves nothing again."""
        return self.dedupes is Dedupe.BY_KEY

    @property
    def shows_payments(self) -> bool:
        """Whether a payment can be read, with its refunds (``charge``)."""
        return LookUp.BY_PAYMENT in self.looks_up

    @property
    def shows_refunds(self) -> bool:
        """Whether a refund can be read by its own id (``movement``)."""
        return LookUp.BY_REFUND in self.looks_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """A refund as the processor shows it.

    Attributes:
        payment_id: the payment that it belongs to; empty for an unlinked refund.
        status: ours: ``succeeded``, ``pending`` or ``failed``; the processor's own word is in
            ``processor_status``.
        refunded_at_ms: when the money moved, Unix milliseconds, if the processor says so.
        created_at_ms: when the processor made the refund, if it says so.
        order_id: the id of the refund here that ordered it, if the processor shows that. It is
            certain then: no other order made this movement.
        payment_method: where the money of an unlinked refund went, by the processor's id.
        failure_code: the processor's code for why it failed, if it gives one.
        failure_message: the processor's sentence on that; one short line, no secret.
        fee: what the processor takes for the refund, in a currency of its own choice; ``None`` if
            it does not say so, or not in a form that can be read exactly.
    """

    id: str
    payment_id: str
    money: Money
    status: "MovementStatus"
    processor_status: str | None = None
    refunded_at_ms: int | None = None
    created_at_ms: int | None = None
    order_id: str | None = None
    payment_method: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    fee: Money | None = None


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
        movements: the refunds it lists, at most ``MOVEMENTS_MAX``; ``None`` if it lists none in a
            form that can be read, or more.
        method: the payment method's name at the processor, if it says so.
        arrival: when a refund's money reaches the customer, if the processor says it of the method.
        request_id: the processor's id of what the customer was asked to pay, if it says so.
        payment_intent: the PaymentIntent that it paid, where Stripe itself took it.
        shared: the member that says that somebody else has a part of the money, so that a refund
            would have to say whose part goes back, too.
    """

    id: str
    status: ChargeStatus
    processor_status: str
    money: Money
    refunded: int
    movements: tuple[Movement, ...] | None
    method: str | None = None
    arrival: Arrival | None = None
    request_id: str | None = None
    payment_intent: str | None = None
    shared: str | None = None

    @property
    def left(self) -> int:
        """What it shows as not refunded yet, minor units; below 0: more went back than was paid.

        What it lists as pending is on its way, whether or not its sum holds it already.
        """
        alive = (one for one in self.movements or () if one.status is not MovementStatus.FAILED)
        return self.money.amount - max(self.refunded, sum(one.money.amount for one in alive))


@dataclass(frozen=True, slots=True)
class ListedCharge:
    """A payment in the processor's list.

    Attributes:
        refunded: what it says was refunded in all, minor units; ``None`` if it does not say that,
            or not in a form that can be read.
        movements: ids of the refunds that it lists, but for those that failed; none if it lists
            none in a form that can be read.
    """

    id: str
    refunded: int | None
    movements: tuple[str, ...] = ()

    @classmethod
    def of(cls, charge: Charge) -> "ListedCharge":
        """The charge as the list has it."""
        listed = charge.movements or ()
        alive = tuple(one.id for one in listed if one.status is not MovementStatus.FAILED)
        return cls(charge.id, charge.refunded, alive)


@dataclass(frozen=True, slots=True)
class ChargePage:
    """A page of the processor's list of payments, newest first.

    Attributes:
        cursor: where the next page begins, in the adapter's own words; ``None`` at the end.
    """

    charges: tuple[ListedCharge, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrder:
    """What the processor is asked to move.

    Attributes:
        listed_before: ids of the refunds that the payment listed before this order, whoever made
            them; ``None``: it was not read, or lists none that can be read. Where the answer names
            all refunds of the payment and not ours, the one that is not among these is ours.
        repeated: whether an order of this ``refund_id`` may have arrived before. Only a processor
            that dedupes by key is handed such an order.
    """

    refund_id: str
    payment_id: str
    money: Money
    reason: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    listed_before: frozenset[str] | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlinkedOrder:
    """What the processor is asked to move to a customer, with no payment that it belongs to.

    Attributes:
        payment_method: where it goes, by the processor's id.
        kind: what the caller says that the payment method is; ``None``: nothing.
        customer: whose it is, in the processor's own members, such as ``hsid``; not shown.
        repeated: as in ``RefundOrder``.
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
    """The processor has the refund; amount, currency and payment (or method) are as asked."""

    movement: Movement


@dataclass(frozen=True, slots=True)
class Rejected:
    """The processor refused, finally: no money moved and none will.

    Attributes:
        status: the HTTP status of the refusal; 422 where the adapter itself refused to ask.
        code: the processor's, or the adapter's, where there is one.
        details: amounts that the processor named, minor units: ``original_amount``,
            ``already_refunded``, ``remaining_refundable``, ``requested_refund``.
        was_asked: whether the processor itself refused, so that it is there.
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
        replaced: whether the credential read anew is another one, so that sending the order once
            more, at once, is of use. Whoever sends it checks the lease again before.
    """

    replaced: bool = False


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

    def movement(self, processor_refund_id: str, deadline: Deadline) -> Movement | None:
        """The refund of that id, ``None`` if the processor knows none; only with
        ``LookUp.BY_REFUND``.

        Raises:
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def ordered(
        self, refund_id: str, payment_id: str | None, deadline: Deadline
    ) -> Movement | None:
        """What became of the order that carried our refund's id as its key; only with
        ``Dedupe.BY_KEY``.

        ``payment_id`` is what it was to refund, ``None`` for an unlinked refund. ``None`` means
        that the processor said that it has no such order; one may still be on its way.

        Raises:
            UnreadableAnswerError: it cannot be asked that, or shows another payment's refund.
            ProviderUnavailableError: no usable answer after at most two attempts.
        """

    def refund(self, order: RefundOrder, deadline: Deadline) -> Outcome:
        """Ask, exactly once, to move the money. Never raises for what the network does.

        ``CredentialRefused`` says whether asking once more with another credential is of use.

        The outcome of a ``repeated`` order is ``Accepted`` or ``Unknown``: what this asking came to
        says nothing of the one before it.
        """

    def refund_unlinked(self, order: UnlinkedOrder, deadline: Deadline) -> Outcome:
        """As ``refund``, without a payment; ``Rejected`` without asking if it cannot do that."""


# --- Stripe -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A Stripe Payment Record; amounts in minor units of ``currency``.

    Attributes:
        reported_by: ``self`` if somebody told Stripe of the payment, ``stripe`` if Stripe took it
            itself; ``None`` if Stripe does not say.
    """

    id: str
    livemode: bool
    currency: str
    amount_requested: int
    amount_guaranteed: int
    amount_refunded: int
    amount_canceled: int
    metadata: Mapping[str, str]
    payment_reference: str | None
    reported_by: str | None = None

    @property
    def captured(self) -> int:
        """What was captured: Stripe's ``amount_guaranteed`` is net of refunds."""
        return self.amount_guaranteed + self.amount_refunded


class InvoicePaymentKind(StrEnum):
    """By what an invoice was paid, in Stripe's words."""

    PAYMENT_RECORD = "payment_record"
    PAYMENT_INTENT = "payment_intent"
    CHARGE = "charge"


@dataclass(frozen=True, slots=True)
class InvoicePayment:
    """A paid payment of an invoice.

    Attributes:
        id: of the object that ``kind`` says.
        amount_paid: what of it went into this invoice, minor units; ``None`` if Stripe does not
            say.
    """

    kind: InvoicePaymentKind
    id: str
    amount_paid: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class StripeReference:
    """A PaymentIntent or an Invoice, as far as it leads to a Payment Record.

    Attributes:
        payment_record: the record that Stripe itself names: as it is now, or only its id.
        captured_charge: the id of the charge by which Stripe itself captured money for it.
        authorised_charge: the id of the charge of which Stripe itself has captured nothing yet.
        payments: the invoice's paid payments.
        has_more_payments: whether there are others that were not shown.
    """

    id: str
    livemode: bool
    metadata: Mapping[str, str]
    payment_record: PaymentRecord | str | None = None
    captured_charge: str | None = None
    authorised_charge: str | None = None
    payments: tuple[InvoicePayment, ...] = ()
    has_more_payments: bool = False


class StripeObjectNotFoundError(Exception):
    """Stripe knows no such object with this key; its message says more (the other mode, say)."""


@dataclass(frozen=True, slots=True)
class ReportAccepted:
    """Stripe has booked the refund.

    Attributes:
        record: the Payment Record after it; ``None`` if the answer shows it in no form that can be
            read.
    """

    record: PaymentRecord | None = None


@dataclass(frozen=True, slots=True)
class ReportUnclear:
    """No usable answer: Stripe may or may not have booked it. Ask again.

    Attributes:
        new_epoch: whether the answer is stored at Stripe under this idempotency key (a received
            5xx, an idempotency error), so that asking again needs another key.
        retry_after_s: Stripe's wish, if it gave one.
        credential_refused: whether Stripe does not accept the key, or grants it no right to report:
            a fault of the set-up, for which no report is given up.
        was_asked: as in ``ProviderUnavailableError``.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None
    credential_refused: bool = False
    was_asked: bool = True


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


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditNoteOrder:
    """What a credit note on a paid invoice says.

    Attributes:
        refund_id: ours; kept in the note's metadata, to find it by.
        payment_record: where the refund was reported ...
        refund_reference: ... and under which reference.
        amount: minor units of ``currency``.
        reason: as it was asked for; Stripe is told only where it has the same word.
    """

    refund_id: str
    invoice: str
    payment_record: str
    refund_reference: str
    amount: int
    currency: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class CreditNoteIssued:
    """Stripe has issued the credit note of that id."""

    id: str


@dataclass(frozen=True, slots=True)
class CreditNoteUnclear:
    """No usable answer: the note may or may not have been issued. Look for it, then ask again.

    Attributes:
        new_epoch, retry_after_s, credential_refused, was_asked: as in ``ReportUnclear``.
    """

    reason: str
    new_epoch: bool = False
    retry_after_s: int | None = None
    credential_refused: bool = False
    was_asked: bool = True


@dataclass(frozen=True, slots=True)
class CreditNoteRefused:
    """Stripe answered that it will not issue this note, and asking again cannot help."""

    reason: str
    code: str | None = None


CreditNoteOutcome = CreditNoteIssued | CreditNoteUnclear | CreditNoteRefused


class CreditNotes(Protocol):
    """Stripe, which issues credit notes on its invoices."""

    def credit_note_of(self, invoice: str, refund_id: str, deadline: Deadline) -> str | None:
        """The id of the note on ``invoice`` whose metadata names the refund; ``None``: none does.

        A note that was voided since is still that note. At most ten requests.

        Raises:
            StripeObjectNotFoundError: Stripe knows no such invoice with this key.
            ProviderUnavailableError: no usable answer, or more notes than can be looked through.
        """

    def issue_credit_note(
        self, order: CreditNoteOrder, idempotency_key: str, deadline: Deadline
    ) -> CreditNoteOutcome:
        """Issue a note, in one attempt. Never raises for what the network does."""


# --- events -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An event for whoever listens on the bus.

    Attributes:
        id: the same however often it is published; subscribers find it in ``detail`` too.
        name: what kind of event it is: EventBridge's ``detail-type``.
        at_ms: when what it tells of happened.
        detail: JSON values only; no secret, no customer's data beyond what the caller sent.
    """

    id: str
    name: str
    at_ms: int
    detail: Mapping[str, Any]


class EventBus(Protocol):
    """Where the rest of the world listens."""

    def publish(self, announcements: Sequence[Announcement], deadline: Deadline) -> frozenset[str]:
        """Publish, and return the ids of those that may not have arrived; the others are durable.

        Never raises for what the network does. Nothing is begun that might not end in time.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Unannounced:
    """What has to be published again of one refund.

    Attributes:
        from_seq: the first line of its history that may not have been published.
        tries: how often publishing it again was begun.
    """

    refund_id: str
    from_seq: int
    tries: int = 0
    revision: int = 0


class Backlog(Protocol):
    """Remembers what could not be published. Every method may raise ``LedgerUnavailableError``.

    It lies beside the refunds and never changes one, so that a bus that is away is no concern of
    whoever moves money.
    """

    def owe(self, refund_id: str, *, from_seq: int, now_ms: int) -> None:
        """From that line on the refund's history is to be published again, and that is due now.

        Durable on return. What is owed from an earlier line stays owed.
        """

    def owing(self, shard: int, *, before_ms: int, limit: int) -> Sequence[str]:
        """Ids of refunds of one of ``DUE_SHARDS`` shards for which something was due by then.

        From an index, so eventually consistent, as ``Ledger.due``.
        """

    def take(self, refund_id: str, *, now_ms: int, until_ms: int) -> Unannounced | None:
        """What is owed of the refund, if it is due; nobody else is given it before ``until_ms``.

        The try is counted, durably.
        """

    def hold(self, taken: Unannounced, *, until_ms: int | None) -> None:
        """Let it be due again then; ``None``: never again, unless more comes to be owed.

        Changes nothing if more has come to be owed meanwhile.
        """

    def paid(self, taken: Unannounced) -> None:
        """It was published; changes nothing if more has come to be owed meanwhile."""


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


class DeadLettersError(Exception):
    """The message may not have been set aside; its queue still has it."""


class DeadLetters(Protocol):
    """Where messages lie that a person must look at."""

    def set_aside(self, body: str, reasons: Mapping[str, str]) -> None:
        """Keep the message as it came, with what is wrong with it beside it; durable on return.

        Raises:
            DeadLettersError: it may not have been kept.
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
