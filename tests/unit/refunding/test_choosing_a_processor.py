"""Which processor refunds: said by the payment's metadata, by the caller only where they do not."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    RefundBridgeError,
    StripeUnavailableError,
)
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import ReferenceType, RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.processor import LookUp
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hitpay.adapter import HitPay
from refund_bridge.refunding.locate_payment import VerifyCharge
from tests.fakes.processor import FakeProcessor
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import STEP_MS, World

ALL = ("hitpay", "hyperswitch", "hedge", "ccg")


@pytest.fixture
def world() -> World:
    """Four processors are set up, and each has a payment ``charge-1`` of SGD 99.99."""
    made = World(doors=ALL)
    for door in made.doors.values():
        door.add_charge("charge-1", Money(9999, "sgd"))
    return made


def record_of(world: World, metadata: dict[str, str], reference: str | None = None) -> None:
    """The Payment Record ``pr_1`` with these metadata."""
    world.stripe.add_record(
        FakeRecord(
            id="pr_1",
            currency="sgd",
            requested=9999,
            guaranteed=9999,
            metadata=metadata,
            payment_reference=reference,
        )
    )


def moved(world: World) -> dict[str, int]:
    """How many refunds each processor has made, but for those that made none."""
    made = {name: len(door.books.refunds) for name, door in world.doors.items()}
    return {name: count for name, count in made.items() if count}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("member", ["payment_id", "charge_id"])
def test_the_one_that_the_record_names_refunds(world: World, name: str, member: str) -> None:
    # Given a record that names a payment at one of four
    record_of(world, {f"{name}_{member}": "charge-1"})
    # When it is refunded
    refund = world.refund("k", amount=2500).refund
    # Then that one did it
    assert (refund.state, refund.processor) == (State.SUCCEEDED, name)
    assert moved(world) == {name: 1}


@pytest.mark.parametrize("name", ALL)
def test_the_resolved_amount_is_always_sent(world: World, name: str) -> None:
    # Given a payment of which a part was refunded
    record_of(world, {f"{name}_payment_id": "charge-1"})
    world.refund("k1", amount=2500)
    # When the rest is asked for by leaving out the amount
    world.refund("k2")
    # Then the processor was told how much that is
    assert [instruction.money for instruction in world.doors[name].instructions] == [
        Money(2500, "sgd"),
        Money(7499, "sgd"),
    ]


class TestSeveral:
    """A record that names payments of two processors."""

    @pytest.fixture(autouse=True)
    def _names_two(self, world: World) -> None:
        record_of(world, {"hedge_payment_id": "charge-1", "ccg_payment_id": "charge-1"})

    def test_nothing_is_sent_until_the_caller_says_which(self, world: World) -> None:
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("k", amount=2500)
        assert refused.value.details == {"object": "pr_1", "processors": ["hedge", "ccg"]}
        assert moved(world) == {}
        assert world.ledger.refunds == {}

    @pytest.mark.parametrize("name", ["hedge", "ccg"])
    def test_the_caller_says_which(self, world: World, name: str) -> None:
        assert world.refund("k", amount=2500, processor=name).refund.processor == name
        assert moved(world) == {name: 1}

    def test_said_once_it_need_not_be_said_again(self, world: World) -> None:
        # Given a first refund that said which
        world.refund("k1", amount=2500, processor="ccg")
        # When a second one does not
        assert world.refund("k2", amount=2500).refund.processor == "ccg"
        assert moved(world) == {"ccg": 2}

    def test_and_never_otherwise(self, world: World) -> None:
        # Given a first refund that said which
        world.refund("k1", amount=2500, processor="ccg")
        # When a second one says the other
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("k2", amount=2500, processor="hedge")
        assert refused.value.details["linked"] == "ccg"
        assert moved(world) == {"ccg": 1}

    def test_one_that_is_not_set_up_counts_as_named(self, world: World) -> None:
        # Given that one of the two is not set up here
        del world.doors["hedge"]
        # Then the other one is not taken for granted
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k", amount=2500)
        assert world.refund("k", amount=2500, processor="ccg").refund.processor == "ccg"

    def test_a_scheduled_refund_remembers_which(self, world: World) -> None:
        world.refund("k", amount=2500, processor="ccg", refund_type=RefundType.SCHEDULED)
        world.settle_for(2 * STEP_MS)
        assert moved(world) == {"ccg": 1}

    def test_an_invoice_that_names_two_asks_the_ledger_which(self, world: World) -> None:
        # Given an invoice that names both, and a first refund that said which
        link = {"hedge_payment_id": "charge-1", "ccg_payment_id": "charge-1"}
        world.stripe.add_reference("in_1", link | {"stripe_payment_record_id": "pr_1"})
        by_invoice: dict[str, Any] = {"record": "in_1", "reference_type": ReferenceType.INVOICE}
        with pytest.raises(PaymentLinkConflictError):
            world.refund("k1", amount=2500, **by_invoice)
        world.refund("k2", amount=2500, processor="ccg", **by_invoice)
        # Then the next one need not
        assert world.refund("k3", amount=2500, **by_invoice).refund.processor == "ccg"


def test_another_one_than_the_record_names_is_a_conflict(world: World) -> None:
    record_of(world, {"hitpay_payment_id": "charge-1"})
    with pytest.raises(PaymentLinkConflictError) as refused:
        world.refund("k", amount=2500, processor="ccg")
    assert refused.value.details == {"object": "pr_1", "processors": ["hitpay"]}
    assert moved(world) == {}


@pytest.mark.parametrize("name", ["hedge", "ccg"])
def test_one_that_is_not_set_up_is_said(world: World, name: str) -> None:
    del world.doors[name]
    record_of(world, {f"{name}_payment_id": "charge-1"})
    with pytest.raises(PaymentNotLinkedError) as refused:
        world.refund("k", amount=2500)
    assert refused.value.details == {
        "object": name,
        "missing": "processor",
        "expected_in": [f"{name.upper()}_URL"],
    }


class TestReference:
    """A record whose metadata name no payment, but that has a payment reference."""

    def test_the_first_that_shows_payments_is_asked(self, world: World) -> None:
        record_of(world, {}, reference="charge-1")
        assert world.refund("k", amount=2500).refund.processor == "hitpay"

    def test_or_the_one_that_the_caller_says(self, world: World) -> None:
        record_of(world, {}, reference="charge-1")
        assert world.refund("k", amount=2500, processor="hedge").refund.processor == "hedge"

    @pytest.mark.parametrize("asked", [{"processor": "ccg"}, {}])
    def test_but_none_that_shows_no_payments(self, world: World, asked: dict[str, str]) -> None:
        # Given that nobody who could be asked shows payments
        for name in ("hitpay", "hyperswitch", "hedge"):
            if not asked:
                del world.doors[name]
        record_of(world, {}, reference="charge-1")
        with pytest.raises(PaymentNotLinkedError) as refused:
            world.refund("k", amount=2500, **asked)
        assert refused.value.details["missing"] == "processor payment id"
        assert moved(world) == {}


class TestInDoubt:
    """A processor that failed a moment ago is asked by a read first, never by the refund."""

    @pytest.mark.parametrize("name", ALL)
    def test_while_it_gives_no_answer_nothing_is_sent(self, world: World, name: str) -> None:
        # Given a processor in doubt, that is still away
        record_of(world, {f"{name}_payment_id": "charge-1"})
        world.in_doubt.add(name)
        world.doors[name].is_down = True
        # When a refund is asked for
        with pytest.raises(RefundBridgeError) as refused:
            world.refund("k", amount=2500)
        # Then it was a read that found out
        assert refused.value.code == "processor_unavailable"
        assert world.doors[name].instructions == []

    @pytest.mark.parametrize("reads_keys", [True, False])
    def test_any_answer_will_do(self, world: World, *, reads_keys: bool) -> None:
        record_of(world, {"ccg_payment_id": "charge-1"})
        world.in_doubt.add("ccg")
        world.doors["ccg"].reads_keys = reads_keys
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED

    def probes(self, world: World) -> list[tuple[str, str | None]]:
        """What is asked for by its key from now on; nothing is found."""
        probed: list[tuple[str, str | None]] = []

        def find_by_key(refund_id: str, payment_id: str | None, _: Deadline) -> None:
            probed.append((refund_id, payment_id))

        world.processor.find_by_key = find_by_key  # type: ignore[method-assign, assignment]
        return probed

    @pytest.mark.parametrize(
        ("name", "in_doubt", "is_probed"),
        [("ccg", True, True), ("ccg", False, False), ("hyperswitch", True, False)],
    )
    def test_its_key_is_read_first_only_if_no_payment_was_read(
        self, name: str, *, in_doubt: bool, is_probed: bool
    ) -> None:
        world = World(doors=(name,))
        world.pay()
        world.in_doubt |= {name} if in_doubt else set()
        probed = self.probes(world)
        refund = world.refund("k", amount=2500).refund
        assert refund.state is State.SUCCEEDED
        assert probed == ([(refund.id, None)] if is_probed else [])

    def test_one_that_shows_no_payments_and_keeps_no_keys_is_asked_for_nothing(self) -> None:
        world = World()
        can = replace(HitPay.capabilities, looks_up=frozenset({LookUp.BY_REFUND}))
        world.processor = FakeProcessor(world.clock, capabilities=can)
        world.doors["hitpay"] = world.processor
        world.pay()
        world.in_doubt.add("hitpay")
        probed = self.probes(world)
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED
        assert probed == []


@pytest.mark.parametrize(
    ("name", "in_doubt", "asked"), [("ccg", True, 1), ("ccg", False, 0), ("hitpay", True, 0)]
)
def test_a_key_is_asked_for_first_only_in_doubt_and_where_keys_are_kept(
    name: str, in_doubt: bool, asked: int
) -> None:
    # Given a stage that reads no charges
    world = World(doors=(name,), verify_charge=VerifyCharge.NEVER)
    record = world.pay()
    world.in_doubt.update([name] if in_doubt else [])
    keys: list[str] = []

    def nothing(refund_id: str, *_: object) -> None:
        keys.append(refund_id)

    world.processor.find_by_key = nothing  # type: ignore[method-assign, assignment]
    # When a refund is asked for
    refund = world.refund("k", record=record).refund
    # Then it succeeds, after a read where that is needed
    assert refund.state is State.SUCCEEDED
    assert keys == [refund.id] * asked


@pytest.mark.parametrize("verify", VerifyCharge)
def test_payments_that_are_not_shown_are_never_asked_for(verify: VerifyCharge) -> None:
    # Given a processor that shows no payments; the fake refuses to be asked
    world = World(doors=("ccg",), verify_charge=verify)
    record = world.pay()
    assert world.refund("k", record=record).refund.state is State.SUCCEEDED
    assert world.payment().moved == 9999


def test_stripe_is_asked_before_anything_else(world: World) -> None:
    record_of(world, {"ccg_payment_id": "charge-1"})
    world.stripe.is_down = True
    with pytest.raises(StripeUnavailableError):
        world.refund("k", amount=2500)
    assert moved(world) == {}


def test_a_record_of_the_other_mode_is_not_refunded(world: World) -> None:
    record_of(world, {"ccg_payment_id": "charge-1"})
    world.stripe.books.records["pr_1"].livemode = True
    with pytest.raises(PaymentNotFoundError):
        world.refund("k", amount=2500)
    assert moved(world) == {}


def test_when_charges_are_read_is_said_in_the_words_of_the_parameter() -> None:
    assert [*VerifyCharge] == ["always", "first", "never"]
