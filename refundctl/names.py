"""What the ledger has under a name, whichever kind of name it is: an id of any kind, or a key."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from refund_bridge.domain.payment import Payment, PaymentKey, payment_key_of
from refund_bridge.domain.refund import Refund, refund_id_of
from refund_bridge.ports.listing import (
    FIRST_PLACE,
    LAST_PLACE,
    Listing,
    OfInvoice,
    OfPaymentIntent,
    Selection,
)
from refundctl import walk

NAME_MAX: Final = 255
PAYMENT_RECORD: Final = "Payment Record"
PAYMENT_INTENT: Final = "PaymentIntent"
INVOICE: Final = "invoice"
CHARGE: Final = "charge"


class NamesLedger(Protocol):
    """The reads of `ports.ledger.Ledger` by which a name is looked up."""

    def refund(self, refund_id: str) -> Refund | None:
        """As in `ports.ledger.Ledger`, like the other three."""

    def payment(self, key: PaymentKey) -> Payment | None: ...  # noqa: D102

    def payment_of_record(self, payment_record: str) -> PaymentKey | None: ...  # noqa: D102

    def claimed(  # noqa: D102
        self, processor: str, processor_refund_ids: Sequence[str]
    ) -> Mapping[str, str]: ...


class Known(Protocol):
    """Where names are looked up: the commands' `World`, and the console's `Sources`."""

    @property
    def stage(self) -> str: ...  # noqa: D102

    @property
    def ledger(self) -> NamesLedger: ...  # noqa: D102

    @property
    def listing(self) -> Listing: ...  # noqa: D102

    @property
    def processors(self) -> Iterable[str]:
        """The processors' names."""


def is_name(text: str) -> bool:
    """Whether the text has the form of a name."""
    return 1 <= len(text) <= NAME_MAX and text.isascii() and text.isprintable()


def named(world: Known, text: str) -> Iterator[tuple[str, tuple[Refund, str]]]:
    """The refunds that an id or a key names, by their ids, and which kind of name it is."""
    yield from refunds_named(world, text)
    for key, kind in payments_named(world, text).items():
        for refund in walk.of_payment(world.listing, key):
            yield refund.id, (refund, kind)


def refunds_named(world: Known, text: str) -> Iterator[tuple[str, tuple[Refund, str]]]:
    """The refunds whose own id, idempotency key or processor refund id it is, with its kind."""
    if not is_name(text):
        return
    for refund_id, kind in ((text, "id"), (refund_id_of(text, world.stage), "idempotency key")):
        if (refund := world.ledger.refund(refund_id)) is not None:
            yield refund.id, (refund, kind)
    for processor in world.processors:
        owner = world.ledger.claimed(processor, [text]).get(text)
        if owner is not None and (refund := world.ledger.refund(owner)) is not None:
            yield owner, (refund, "the processor's refund")


def payments_named(world: Known, text: str) -> Mapping[PaymentKey, str]:
    """The payments that it names, each with the kind of the name: a Payment Record's, a
    PaymentIntent's, an invoice's or a charge's."""
    found: dict[PaymentKey, str] = {}
    if not is_name(text):
        return found
    if (of_record := world.ledger.payment_of_record(text)) is not None:
        found[of_record] = PAYMENT_RECORD
    kinds: tuple[tuple[Selection, str], ...] = (
        (OfPaymentIntent(text), PAYMENT_INTENT),
        (OfInvoice(text), INVOICE),
    )
    for selection, kind in kinds:
        places = world.listing.newest(
            selection, after=FIRST_PLACE, before=LAST_PLACE, limit=walk.PLACES_PER_QUERY
        )
        asked = world.listing.refunds([one.refund_id for one in places]) if places else {}
        found |= {payment_key_of(one): kind for one in asked.values()}
    for name in world.processors:
        key = PaymentKey(name, text)
        if world.ledger.payment(key) is not None:
            found[key] = CHARGE
    return found
