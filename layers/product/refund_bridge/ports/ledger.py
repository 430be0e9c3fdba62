"""What the use cases ask of the ledger: one conditional write for all that changes together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund


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
class ProcessorRefundClaim:
    """The processor's refund belongs to this refund and to no other.

    Attributes:
        instead_of: the refund that held it, which a person has decided not to be it after all.
    """

    processor: str
    processor_refund_id: str
    refund_id: str
    instead_of: str | None = None


Claim = RecordClaim | ProcessorRefundClaim


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
