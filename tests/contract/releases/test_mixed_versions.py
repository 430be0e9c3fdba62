"""During a deploy the former release works on with what this one writes.

The former release's own code is run on it, out of the history. Where that is not there, what this
release writes is still held to what the former one was last shown (`samples/this-release.json`).
"""

import io
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import ReferenceType, RefundType, Source
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from tests.contract.releases import story
from tests.contract.releases.conftest import SAMPLES, FormerRelease, sample
from tests.contract.releases.story import Sample
from tests.contract.releases.test_former_release import as_told_today
from tests.fakes.processor_fates import Conduct
from tests.fakes.stripe_fates import Fails
from tests.fakes.world import STAGE, World


@pytest.fixture(scope="module")
def newer() -> Sample:
    """Refunds of kinds that the former release did not have."""
    world = World(credit_notes=True)
    _with_credit_notes(world)
    _by_event(world)
    _of_the_dashboard(world)
    _looked_at_and_taken_back(world)
    _with_a_fee(world)
    return story.sample_of(world)


def _with_credit_notes(world: World) -> None:
    for name in ("issued", "due", "failed"):
        invoice = world.pay_invoice(name)
        asked = {"reference_type": ReferenceType.INVOICE, "amount": 2500}
        made = world.refund(name, record=invoice, **asked).refund
        if name == "due":
            world.notes.fates.append(Fails())
        if name == "failed":
            world.notes.paid[invoice] = 0  # Stripe refuses: there is nothing to credit
        world.report(made.id)
    notes = {note.credit_note.state for note in world.ledger.refunds.values()}
    assert notes == {CreditNoteState.ISSUED, CreditNoteState.DUE, CreditNoteState.FAILED}


def _by_event(world: World) -> None:
    record = world.pay("event")
    command = world.command("event", record=record, refund_type=RefundType.SCHEDULED)
    world.execute(replace(command, source=Source.EVENT), world.deadline())


def _of_the_dashboard(world: World) -> None:
    """One whose PaymentIntent leads to no Payment Record."""
    world.pay("dashboard")
    world.processor.references["charge-dashboard"] = "pi_dashboard"
    world.stripe.add_reference("pi_dashboard", {})
    world.processor.refund_in_dashboard("charge-dashboard", 1000)
    world.observe(PaymentKey("hitpay", "charge-dashboard"), world.deadline())
    (found,) = [one for one in world.ledger.refunds.values() if one.source is Source.PROCESSOR]
    assert (found.payment_record, found.report.state) == (None, ReportState.FAILED)


def _with_a_fee(world: World) -> None:
    world.processor.books.fee = Money(65, "usd")
    world.refund("with_a_fee", record=world.pay("with_a_fee"), amount=2500)
    world.processor.books.fee = None
    assert world.stored("with_a_fee").fee == Money(65, "usd")


def _looked_at_and_taken_back(world: World) -> None:
    world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
    world.refund("looked_at", record=world.pay("looked_at"), amount=2500)
    world.clock.advance(story.MINUTE_MS)
    looked_at = refund_id_of("looked_at", STAGE)
    world.read_refund(looked_at, sync_until=world.deadline())
    assert world.stored("looked_at").looked_at_ms is not None
    world.processor.books.conduct = Conduct()
    made = world.refund("taken_back", record=world.pay("taken_back"), amount=2500).refund
    world.report(made.id)
    world.processor.books.set_status(str(made.processor_refund_id), ProcessorRefundStatus.FAILED)
    world.observe(PaymentKey("hitpay", "charge-taken_back"), world.deadline())
    assert world.stored("taken_back").late_failure_at_ms is not None


def known_to(told: list[dict[str, object]], this: Sample) -> list[dict[str, object]]:
    """Of what this release tells of each refund, the members that the other one tells too."""
    return [story.known_to(then, now) for now, then in zip(this["told"], told, strict=True)]


def test_this_release_writes_what_the_former_one_was_shown() -> None:
    """If the stored form was changed on purpose: first see the tests below pass with the history at
    hand, on the new sample: `python -P tests/contract/releases/story.py tell`.
    """
    world, written = World(), io.StringIO()
    story.tell(world)
    story.write(story.sample_of(world), written)
    assert written.getvalue() == (SAMPLES / "this-release.json").read_text()


def test_the_former_release_tells_what_it_knows_of_todays_refunds(
    former_release: FormerRelease,
) -> None:
    this = sample("this-release")
    told = former_release("read", this)["told"]
    assert told == known_to(told, this)


def test_and_of_refunds_of_newer_kinds(former_release: FormerRelease, newer: Sample) -> None:
    told = former_release("read", newer)["told"]
    assert len(told) == len(newer["refunds"])
    told = [as_told_today(one) for one in told]
    assert told == known_to(told, newer)


def test_the_former_release_brings_todays_refunds_to_their_end(
    former_release: FormerRelease,
) -> None:
    ended = former_release("finish", sample("this-release"))
    assert {name: (state, report) for name, state, report in ended["ends"]} == story.ENDS
    # And this one understands what it made of them
    world = World()
    story.tell(world)
    story.load(world, ended)
    assert story.ends(world) == story.ENDS
