"""The port that lists refunds, by the ledger's indexes."""

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
    """The refunds of which the request named this PaymentIntent."""

    payment_intent: str


@dataclass(frozen=True, slots=True)
class OfInvoice:
    """The refunds of which the request named this Invoice."""

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
    """A place in a listing: refunds are sorted by their time of creation, then by their ids.

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
    """Reads many refunds or payments at once. Each method may raise ``LedgerUnavailableError``."""

    def newest(
        self, selection: Selection, *, after: Position, before: Position, limit: int
    ) -> Sequence[Position]:
        """The places of the selected refunds between two places, newest first, at most ``limit``.

        Both places are excluded. If fewer than ``limit`` are returned, there are no more. Read from
        an index, so eventually consistent: a refund may be missing for a moment, or be listed
        though its status has changed. One round trip.
        """

    def oldest(
        self,
        selection: Selection,
        *,
        after: Position = FIRST_PLACE,
        before: Position = LAST_PLACE,
        limit: int,
    ) -> Sequence[Position]:
        """As ``newest``, oldest first."""

    def count(self, selection: Selection) -> int:
        """How many refunds are selected, by an index, as ``newest``.

        One round trip: if there are more than some ten thousand refunds, only the first are
        counted.
        """

    def refunds(self, refund_ids: Sequence[str]) -> Mapping[str, Refund]:
        """Those of these refunds that exist, as they are now, by their ids.

        Each is read with strong consistency. One round trip for every 100 ids.
        """

    def payments(self, keys: Sequence[PaymentKey]) -> Mapping[PaymentKey, Payment]:
        """Those of these payments that exist, as they are now, by their keys; as ``refunds``."""
