"""What the use cases ask of the ledger's index of refunds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.refund import Refund


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
