"""What is learnt of a payment, as a whole: whose each of its refunds is, and what is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.charge import Charge, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import Payment, PaymentKey
from refund_bridge.domain.payment_snapshot import PaymentSnapshot
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.runtime import Deadline
from refund_bridge.refunding.learn_from_charge import Learnt
from tests.fakes.processor_fates import Answered, Conduct, RequestLost
from tests.fakes.world import STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")
FAILED, PENDING, SUCCEEDED = (
    ProcessorRefundStatus.FAILED,
    ProcessorRefundStatus.PENDING,
    ProcessorRefundStatus.SUCCEEDED,
)


def shown(world: World) -> Charge:
    return world.processor.charge("charge-1", world.deadline())


def seen(charge: Charge | None, **facts: Any) -> PaymentSnapshot:
    plain = PaymentSnapshot(
        key=CHARGE,
        payment_record="pr_1",
        currency="sgd",
        captured=9999,
        in_book=None,
        charge=charge,
    )
    return replace(plain, **facts)


def learn(world: World, charge: Charge | None = None, **facts: Any) -> Learnt:
    """Learn from the payment as it is shown now, or as it is given."""
    return world.learn(seen(charge or shown(world), **facts), world.deadline())


def failed(world: World, key: str = "failed", amount: int = 2500) -> Refund:
    """A refund that the processor accepted, and shows as failed since."""
    world.processor.books.conduct = Conduct(PENDING)
    bound_to = world.refund(key, amount=amount).refund.processor_refund_id or ""
    world.processor.books.conduct = Conduct()
    world.processor.books.set_status(bound_to, FAILED)
    learn(world)
    assert world.stored(key).state is State.FAILED
    return world.stored(key)


def taken_back(world: World, key: str = "back", amount: int = 2500) -> Refund:
    """A refund that succeeded, and that the processor took back."""
    bound_to = world.refund(key, amount=amount).refund.processor_refund_id or ""
    world.processor.books.set_status(bound_to, FAILED)
    learn(world)
    assert world.stored(key).late_failure_at_ms is not None
    return world.stored(key)


def without(charge: Charge, *refunds: Refund) -> Charge:
    """The charge, which lists those no more."""
    gone = {one.processor_refund_id for one in refunds}
    listed = tuple(one for one in charge.processor_refunds or () if one.id not in gone)
    return replace(charge, processor_refunds=listed)


class Index:
    """Counts how often the index of refunds is read."""

    def __init__(self, world: World) -> None:
        self.asked = 0
        self.every_refund = world.learn.every_refund
        object.__setattr__(world.learn, "every_refund", self)

    def __call__(self, key: PaymentKey) -> Sequence[Refund]:
        self.asked += 1
        return self.every_refund(key)


class TestOurs:
    """Refunds of the ledger that the payment lists."""

    def test_what_followed_is_in_what_was_learnt(self, world: World) -> None:
        # Given a pending refund that has ended at the processor
        world.processor.books.conduct = Conduct(PENDING)
        world.refund("k", amount=2500)
        world.processor.books.set_status("hitpay-refund-1", SUCCEEDED)
        learnt = learn(world)
        # Then the payment is as the ledger has it since
        assert world.stored("k").state is State.SUCCEEDED
        payment = world.payment()
        assert learnt == Learnt(payment, payment, imports=(), snapshot=(), followed=True)
        # And a second look follows nothing
        assert learn(world) == replace(learnt, followed=False)

    def test_what_moved_after_all_by_another_id_is_in_it_too(self, world: World) -> None:
        refund = failed(world)
        world.processor.books.set_status(refund.processor_refund_id or "", SUCCEEDED)
        world.processor.books.lists_other_ids = True
        learnt = learn(world)
        assert world.stored("failed").state is State.SUCCEEDED
        assert world.imported() == []
        assert (learnt.stored, learnt.followed) == (world.payment(), True)

    def test_while_another_may_be_moving_money_it_is_not_asked_for(self, world: World) -> None:
        refund = failed(world)
        world.processor.fates.append(RequestLost())
        world.refund("lost", amount=100)
        world.processor.books.set_status(refund.processor_refund_id or "", SUCCEEDED)
        world.processor.books.lists_other_ids = True
        payment, index = world.payment(), Index(world)
        assert learn(world) == Learnt(payment, payment, imports=(), snapshot=None)
        assert index.asked == 0

    def test_while_another_may_be_moving_money_nothing_is_asked_for_ours_either(
        self, world: World
    ) -> None:
        # Given a refund that moved, which the payment does not list, beside one without an outcome
        moved = world.refund("moved", amount=4000).refund
        world.processor.fates.append(RequestLost())
        world.refund("lost", amount=100)
        index = Index(world)
        payment, charge = world.payment(), without(shown(world), moved)
        assert learn(world, charge) == Learnt(payment, payment, imports=(), snapshot=None)
        assert index.asked == 0

    def test_one_that_is_listed_by_another_id_is_known_by_its_instruction(
        self, world: World
    ) -> None:
        world.processor.books.names_instructions = True
        world.refund("k", amount=2500)
        world.processor.books.lists_other_ids = True
        payment = world.payment()
        assert learn(world) == Learnt(payment, payment, imports=(), snapshot=())
        assert world.noted("ids_do_not_fit") == []

    def test_an_import_is_followed_whatever_instruction_is_shown_later(self, world: World) -> None:
        # Given a refund of ours that is not listed, and a colleague's that is pending
        ours = world.refund("ours", amount=2500).refund
        world.processor.books.conduct = Conduct(PENDING)
        theirs = world.in_dashboard(300)
        learn(world)
        # When that ends, and shows the instruction of ours
        world.processor.books.set_status(theirs.id, SUCCEEDED)
        kept = world.processor.books.refunds[theirs.id]
        kept.processor_refund = replace(kept.processor_refund, instruction_id=ours.id)
        learn(world, without(shown(world), ours))
        # Then it is the import that has ended
        (imported,) = world.imported()
        assert imported.state is State.SUCCEEDED
        assert world.stored("ours") == ours

    def test_only_ours_that_failed_and_are_not_listed_are_asked_for(self, world: World) -> None:
        # Given refunds of every kind
        gone = failed(world, "gone", 100)
        back = taken_back(world, "back", 200)
        listed = failed(world, "listed", 300)
        world.processor.fates.append(Answered(422, "No."))
        world.refund("rejected", amount=400)
        moved = world.refund("moved", amount=500).refund
        unlisted = world.refund("unlisted", amount=800).refund
        world.processor.books.conduct = Conduct(PENDING)
        theirs = world.in_dashboard(600)
        learn(world)
        world.processor.books.set_status(theirs.id, FAILED)
        learn(world)
        (external,) = world.imported()
        assert external.state is State.FAILED
        world.processor.books.conduct = Conduct()
        # When the payment lists what is nobody's, and no more what has failed or come back
        world.in_dashboard(700)
        asked = list[str]()

        def processor_refund(name: str, _: Deadline) -> ProcessorRefund:
            asked.append(name)
            return world.processor.books.refunds[name].processor_refund

        world.processor.processor_refund = processor_refund  # type: ignore[method-assign, assignment]
        charge = without(shown(world), gone, back, external, unlisted)
        learnt = learn(world, replace(charge, refunded=0))
        # Then those are asked for, and what is nobody's is imported
        assert sorted(asked) == [gone.processor_refund_id, back.processor_refund_id]
        assert [one.amount for one in learnt.imports] == [700]
        assert moved.processor_refund_id is not None
        assert learnt.snapshot == ()
        assert world.stored("listed") == listed

    def test_one_that_was_never_bound_is_not_asked_for_by_its_key(self) -> None:
        # Given a refund that failed without evidence, where keys are kept
        world = World(doors=("hyperswitch",))
        world.pay()
        world.processor.fates.append(RequestLost())
        lost = world.refund("lost", amount=2500).refund
        world.ledger.refunds[lost.id] = replace(lost, state=State.FAILED)
        payment = replace(world.payment(), slot=None, held=0)
        world.ledger.payments[payment.key] = payment
        world.in_dashboard(300)

        def find_by_key(*_: object) -> ProcessorRefund | None:
            raise AssertionError

        world.processor.find_by_key = find_by_key  # type: ignore[method-assign, assignment]
        learnt = learn(world, key=payment.key)
        assert [one.amount for one in learnt.imports] == [300]

    @pytest.mark.parametrize("kind", ["ours", "failed", "by an instruction"])
    def test_nothing_is_asked_for_where_everything_listed_is_somebodys(
        self, world: World, kind: str
    ) -> None:
        gone = failed(world)
        world.processor.books.conduct = Conduct(FAILED if kind == "failed" else SUCCEEDED)
        if kind == "ours":
            world.refund("k", amount=100)
        elif kind == "failed":
            world.in_dashboard(100)
        else:
            world.processor.books.names_instructions = True
            charge = world.processor.books.charges["charge-1"]
            world.processor.books.move(charge, Money(100, "sgd"), "rfd_nobody")
        index = Index(world)
        learn(world, without(shown(world), gone))
        assert index.asked == 0


class TestNotListed:
    """Ours moved money, and the payment does not list it yet, or by another id."""

    @pytest.fixture
    def unlisted(self, world: World) -> Refund:
        """SGD 40.00 that moved, and that the payment does not list."""
        return world.refund("unlisted", amount=4000).refund

    def test_a_colleagues_is_imported_if_it_can_be_none_of_those(
        self, world: World, unlisted: Refund
    ) -> None:
        # Given refunds of the colleague's amount that are listed, were refused, or came back
        world.refund("listed", amount=1000)
        world.processor.fates.append(Answered(422, "No."))
        world.refund("refused", amount=1000)
        back = taken_back(world, amount=1000)
        world.in_dashboard(1000)
        stale = replace(without(shown(world), unlisted, back), refunded=2000)
        world.processor.charge = lambda *_: stale  # type: ignore[method-assign]
        learnt = learn(world, stale)
        # Then none of them keeps it from being told
        assert [one.amount for one in learnt.imports] == [1000]
        assert learnt.stored == learnt.current == world.payment()
        assert world.noted("ids_do_not_fit") == []

    def test_one_of_its_amount_may_be_it_and_somebody_reads_that_in_the_log(
        self, world: World, unlisted: Refund
    ) -> None:
        world.in_dashboard(4000)
        world.in_dashboard(300)
        before = world.payment()
        charge = without(shown(world), unlisted)
        stale = replace(charge, refunded=4300)
        world.processor.charge = lambda *_: stale  # type: ignore[method-assign]
        learnt = learn(world, stale)
        current = replace(learnt.current, foreign_on_charge=before.foreign_on_charge)
        assert (learnt.stored, current) == (before, before)
        assert (learnt.imports, learnt.snapshot, learnt.followed) == ((), None, False)
        assert learnt.current.foreign_on_charge == 300
        assert world.noted("ids_do_not_fit") == [{"charge": "charge-1", "amount": 4000}]


class TestReadAgain:
    """A charge that may have been read before a refund of ours moved."""

    def reads(self, world: World) -> int:
        """How often the charge is read while it is learnt from."""
        charge, reads = shown(world), list[str]()
        read = world.processor.charge

        def counted(charge_id: str, deadline: Deadline) -> Charge:
            reads.append(charge_id)
            return read(charge_id, deadline)

        world.processor.charge = counted  # type: ignore[method-assign]
        learn(world, charge)
        return len(reads)

    def test_a_sum_is_read_again_only_if_something_of_ours_is_in_it(self, world: World) -> None:
        world.processor.lists_refunds = False
        assert self.reads(world) == 0
        world.refund("k", amount=2500)
        assert self.reads(world) == 1

    def test_nothing_of_ours_is_in_it_if_all_of_it_came_back_or_never_moved(
        self, world: World
    ) -> None:
        taken_back(world)
        failed(world)
        world.processor.lists_refunds = False
        assert self.reads(world) == 0

    def test_nor_while_another_may_be_moving_money(self, world: World) -> None:
        world.refund("k", amount=2500)
        world.processor.fates.append(RequestLost())
        world.refund("lost", amount=100)
        world.processor.lists_refunds = False
        assert self.reads(world) == 0

    def test_where_the_processor_is_not_set_up_any_more_what_was_read_counts(
        self, world: World
    ) -> None:
        world.processor.lists_refunds = False
        world.refund("k", amount=2500)
        charge = replace(shown(world), refunded=3000)
        world.doors.clear()
        assert learn(world, charge).current == replace(world.payment(), foreign_on_charge=500)


class TestImported:
    """What others made."""

    def test_what_a_person_has_let_go_is_taken_over_by_the_import(self, world: World) -> None:
        # Given a refund that a person separated from a processor refund that it still claims
        refund = failed(world)
        bound_to = refund.processor_refund_id or ""
        let_go = replace(refund, processor_refund_id=None)
        world.ledger.refunds[refund.id] = let_go
        world.processor.books.set_status(bound_to, SUCCEEDED)
        learnt = learn(world)
        # Then it is somebody else's from now on
        (imported,) = world.imported()
        assert world.ledger.claimed("hitpay", [bound_to]) == {bound_to: imported.id}
        assert [one.id for one in learnt.imports] == [imported.id]
        assert world.ledger.refunds[refund.id] == let_go

    def test_so_is_what_a_refund_claims_that_is_not_there(self, world: World) -> None:
        theirs = world.in_dashboard(2500)
        world.ledger.processor_refunds["hitpay", theirs.id] = "rfd_gone"
        learn(world)
        (imported,) = world.imported()
        assert world.ledger.claimed("hitpay", [theirs.id]) == {theirs.id: imported.id}

    def test_another_amount_under_the_instruction_of_a_doubtful_one_contradicts_it(
        self, world: World
    ) -> None:
        # Given two refunds of one amount that failed without evidence
        for key in ("k1", "k2"):
            world.processor.fates.append(RequestLost())
            lost = world.refund(key, amount=2500).refund
            world.ledger.refunds[lost.id] = replace(lost, state=State.FAILED)
            world.ledger.payments[CHARGE] = replace(world.payment(), slot=None, held=0)
        both = (world.stored("k1").id, world.stored("k2").id)
        world.ledger.payments[CHARGE] = replace(world.payment(), doubtful=both)
        # When it is shown that the second one's instruction moved less
        world.processor.books.names_instructions = True
        charge = world.processor.books.charges["charge-1"]
        world.processor.books.move(charge, Money(2400, "sgd"), both[1])
        learn(world)
        # Then it is imported as what it is, and says whose it may be
        (imported,) = world.imported()
        assert (imported.amount, imported.contradicts) == (2400, both[1])
        assert world.payment().doubtful == (both[0],)

    def test_what_is_more_than_was_paid_is_alarmed_once(self, world: World) -> None:
        world.processor.books.checks_amounts = False
        world.in_dashboard(9999)
        learn(world)
        assert world.noted("over_refunded") == []
        world.in_dashboard(1)
        learn(world)
        learn(world)
        assert world.noted("over_refunded") == [{"charge": "charge-1"}]
        # And not with every sum that changes
        world.processor.lists_refunds = False
        world.in_dashboard(1)
        world.learn.keep(learn(world), seen(None))
        assert world.payment().foreign_on_charge == 1
        assert len(world.noted("over_refunded")) == 1

    def test_of_a_payment_that_stripe_took_it_names_the_payment_intent(self) -> None:
        world = World(doors=("stripe",))
        world.pay_at_stripe()
        world.processor.refund_in_dashboard("ch_1", 2500)
        world.refund("k", record="ch_1", reference_type=ReferenceType.CHARGE, amount=100)
        (imported,) = world.imported()
        assert imported.payment_intent == "pi_1"

    def test_looking_shows_what_learning_would_write(self, world: World) -> None:
        world.refund("k", amount=1)
        world.in_dashboard(2500)
        world.in_dashboard(300)
        before = world.payment()
        looked = world.learn.look(seen(shown(world)))
        assert (world.payment(), world.imported()) == (before, [])
        learnt = learn(world)
        assert replace(looked.current, revision=learnt.current.revision) == learnt.current
        assert looked == replace(learnt, stored=before, current=looked.current)


class TestWritten:
    """The payment itself."""

    def test_one_that_had_no_record_is_linked_at_once(self, world: World) -> None:
        world.refund("k", amount=1)
        world.ledger.payments[CHARGE] = replace(world.payment(), payment_record=None)
        world.ledger.records.clear()
        before = world.payment()
        learnt = learn(world)
        linked = replace(before, payment_record="pr_1", revision=before.revision + 1)
        assert learnt.stored == learnt.current == world.payment() == linked
        assert world.ledger.payment_of_record("pr_1") == CHARGE

    def test_a_record_that_another_payment_had_by_mistake_is_taken_from_that(
        self, world: World
    ) -> None:
        # Given that another payment has the record, of which no money moved
        there = PaymentKey("hitpay", "charge-wrong")
        wrong = Payment(key=there, payment_record="pr_1", currency="sgd", captured=9999)
        world.ledger.payments[there] = wrong
        world.ledger.records["pr_1"] = there
        # When what others refunded of the right one is imported
        world.in_dashboard(2500)
        learn(world, instead_of=there)
        # Then the right one has it, and the other one has it no more
        assert world.ledger.payment_of_record("pr_1") == CHARGE
        assert world.payment().payment_record == "pr_1"
        assert world.ledger.payments[there] == replace(wrong, payment_record=None, revision=1)

    def test_its_sums_are_written_by_whoever_keeps_them_and_only_if_they_changed(
        self, world: World
    ) -> None:
        # Given a payment that is not in the ledger, then nothing is kept
        world.processor.lists_refunds = False
        learnt = learn(world)
        assert world.learn.keep(learnt, seen(None)) is None
        assert world.ledger.payments == {}
        # Given one whose sums are as they were, then nothing is written
        world.refund("k", amount=1)
        before = world.payment()
        assert world.learn.keep(learn(world), seen(None)) == before == world.payment()
        # Given one of which others refunded something, then that is kept
        world.clock.advance(STEP_MS)
        world.in_dashboard(500)
        after = replace(before, foreign_on_charge=500, revision=before.revision + 1)
        assert world.learn.keep(learn(world), seen(None)) == after == world.payment()
