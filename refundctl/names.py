"""What the ledger knows under a name that somebody has at hand, whichever kind of name it is."""

from collections.abc import Iterator, Mapping

from refundctl import walk
from refundctl.world import World
from refunds.payment import PaymentKey, payment_key_of
from refunds.ports import FIRST_PLACE, LAST_PLACE, OfInvoice, OfPaymentIntent, Selection
from refunds.refund import Refund, refund_id_of

NAME_MAX = 255


def named(world: World, text: str) -> Iterator[tuple[str, tuple[Refund, str]]]:
    """The refunds that an id or a key names, by their ids, and which kind of name it is."""
    if not 1 <= len(text) <= NAME_MAX or not text.isascii() or not text.isprintable():
        return
    for refund_id, kind in ((text, "id"), (refund_id_of(text, world.stage), "idempotency key")):
        if (refund := world.ledger.refund(refund_id)) is not None:
            yield refund.id, (refund, kind)
    for processor in world.processors:
        owner = world.ledger.claimed(processor, [text]).get(text)
        if owner is not None and (refund := world.ledger.refund(owner)) is not None:
            yield owner, (refund, "the processor's refund")
    for key, kind in payments_named(world, text).items():
        for refund in walk.of_payment(world.listing, key):
            yield refund.id, (refund, kind)


def payments_named(world: World, text: str) -> Mapping[PaymentKey, str]:
    """The payments that a Payment Record, PaymentIntent, invoice or charge names, and which."""
    found: dict[PaymentKey, str] = {}
    if (of_record := world.ledger.payment_of_record(text)) is not None:
        found[of_record] = "Payment Record"
    kinds: tuple[tuple[Selection, str], ...] = (
        (OfPaymentIntent(text), "PaymentIntent"),
        (OfInvoice(text), "invoice"),
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
            found[key] = "charge"
    return found
