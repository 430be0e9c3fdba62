"""Things that are wrong for a while, and then corrected: in metadata, at Stripe, in the set-up."""

from functools import partial
from typing import TYPE_CHECKING, Final

from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import STRIPE
from tests.fakes.abilities import keeps_keys
from tests.simulation.key_forms import OTHER_FORM
from tests.simulation.options import CAPTURED, CAPTURED_TOO_HIGH, CURRENCY
from tests.simulation.processor import SimulatedProcessor

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

# The charge that a record names by mistake; nothing of it is refunded.
WRONG_CHARGE: Final = "charge-wrong"


def plan_mishaps(stage: "Stage") -> None:
    """Plan when things go wrong and are corrected: at the processors, in metadata, at Stripe."""
    others, at = stage.options.others, stage.scheduler.at
    for processor in stage.processors.values():
        if others.bad_page:
            processor.inner.page_size = 1
            processor.inner.add_charge("charge-newest", Money(CAPTURED, CURRENCY))
        if others.key_form is not None and keeps_keys(processor.capabilities):
            begin_ms, end_ms = others.key_form
            at(begin_ms, partial(_use_keys, processor, OTHER_FORM))
            at(end_ms, partial(_use_keys, processor, ""))
    if others.wrong_link_ms is not None:
        _misname(stage, WRONG_CHARGE)
        at(others.wrong_link_ms, lambda: _misname(stage, "charge-0"))
    if others.captured_off is not None:
        begin_ms, end_ms = others.captured_off
        at(begin_ms, lambda: _capture(stage, CAPTURED + CAPTURED_TOO_HIGH))
        at(end_ms, lambda: _capture(stage, CAPTURED))


def _use_keys(processor: SimulatedProcessor, form: str) -> None:
    """Set up another form of keys; instructions with the former one can no longer be found."""
    processor.inner.books.key_form = form


def _misname(stage: "Stage", charge_id: str) -> None:
    """Somebody writes a charge into the metadata of the first record."""
    names = stage.options.named(0)
    if names == (STRIPE,):
        return  # this processor's payments are not named by metadata
    for name in names:
        inner = stage.processors[name].inner
        inner.add_charge(WRONG_CHARGE, Money(CAPTURED, CURRENCY))
        inner.books.refuses.add(WRONG_CHARGE)
    metadata = {f"{one}_payment_id": charge_id for one in names}
    stage.stripe.inner.books.records["pr_0"].metadata = metadata


def _capture(stage: "Stage", amount: int) -> None:
    """Let Stripe show this amount as captured on the first record."""
    record = stage.stripe.inner.books.records["pr_0"]
    record.requested = record.guaranteed = amount
