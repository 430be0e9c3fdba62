"""What others refunded is counted when a payment is next read, once."""

from dataclasses import replace

import pytest

from refund_bridge.domain.arrival import Arrival
from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Commit, RecordClaim
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.reporting.report import ReportFailedError
from tests.fakes.processor_fates import Conduct, RequestLost
from tests.fakes.stripe_fates import ReportLost
from tests.fakes.world import STAGE, STEP_MS, World

CHARGE = PaymentKey("hitpay", "charge-1")
HOUR_MS = 3_600_000


class TestArrival:
    """The processor says it of the payment's method; whoever reads the charge learns it."""

    def test_it_is_learnt_when_the_payment_is_first_seen(self, world: World) -> None:
        world.refund("k", amount=1)
        assert world.payment().arrival == Arrival(3, 5)

    def test_it_is_learnt_later_if_the_charge_was_not_read_before(self) -> None:
        # Given a payment whose charge is never read
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        world.refund("k", amount=1)
        assert world.payment().arrival is None
        # When it is read after all
        world.observe(CHARGE, world.deadline())
        world.in_dashboard(1)
        world.observe(CHARGE, world.deadline())
        # Then it is known
        assert world.payment().arrival == Arrival(3, 5)

    def test_a_processor_that_says_nothing_takes_nothing_back(self, world: World) -> None:
        world.refund("k", amount=1)
        charge = world.processor.books.charges["charge-1"]
        world.processor.books.charges["charge-1"] = replace(charge, method=None)
        world.refund("k2", amount=1)
        assert world.payment().arrival == Arrival(3, 5)


class TestLearning:
    """A payment is brought up to what was just read."""

    def test_at_first_sight_it_is_what_stripe_shows(self, world: World) -> None:
        world.refund("k", amount=1)
        payment = world.payment()
        assert (payment.payment_record, payment.currency) == ("pr_1", "sgd")
        assert (payment.captured, payment.held) == (9999, 1)

    def test_what_the_charge_lists_first_is_written_with_the_claims(self, world: World) -> None:
        # Given a refund in the dashboard
        name = world.in_dashboard(2500).id
        commits: list[Commit] = []
        commit = world.ledger.commit

        def watched(written: Commit) -> None:
            commits.append(written)
            commit(written)

        world.ledger.commit = watched  # type: ignore[method-assign, assignment]
        # When the payment is first refunded
        world.refund("k", amount=1)
        # Then link and processor refund are claimed with the import, and it is told to the log
        (refund,) = world.imported()
        assert RecordClaim("pr_1", CHARGE) in commits[0].claims
        assert world.ledger.claimed("hitpay", [name]) == {name: refund.id}
        assert world.noted("refund_imported") == [
            {"refund_id": refund.id, "amount": 2500, "currency": "sgd", "adopted": False}
        ]
        assert commits[1].claims == ()
        assert world.payment() == replace(world.payment(), held=2501, booked=0)

    def test_a_failed_processor_refund_is_remembered_as_older_than_the_attempt(
        self, world: World
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        name = world.in_dashboard(2500).id
        world.processor.books.conduct = Conduct()
        imports = world.in_dashboard(100).id
        refund = world.refund("k", amount=1).refund
        assert refund.snapshot == (name,)
        assert imports in world.ledger.claimed("hitpay", [imports])

    def test_without_a_list_there_is_no_snapshot(self, world: World) -> None:
        world.processor.lists_refunds = False
        assert world.refund("k", amount=1).refund.snapshot is None

    def test_without_reading_the_charge_there_is_no_snapshot(self) -> None:
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        assert world.refund("k", amount=1).refund.snapshot is None
        assert world.payment().foreign == 0

    def test_a_list_whose_sum_is_larger_is_not_guessed_at(self, world: World) -> None:
        # Given what was refunded by us and by others, all of it listed
        world.refund("one", amount=1000)
        world.in_dashboard(500)
        world.refund("two", amount=1)
        assert world.payment().foreign == 0

    def test_a_list_that_knows_more_than_we_do_of_ours_counts_nothing_twice(
        self, world: World
    ) -> None:
        # Given a pending refund of ours that has ended at the processor, which we have yet to hear
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        world.refund("one", amount=1000)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.SUCCEEDED)
        # When another one is asked for, then it stands for itself only
        world.refund("two", amount=1)
        assert (world.payment().foreign, world.payment().held) == (0, 1001)

    def test_a_failed_report_may_be_what_stripe_shows(self, world: World) -> None:
        # Given a report that failed, so that Stripe may show it or not
        refund = world.refund("one", amount=1000).refund
        assert refund.report.parameters is not None
        world.stripe.fates.append(ReportLost())
        with pytest.raises(ReportFailedError):
            world.report(refund.id, receive=8, last=True)
        # When Stripe shows less than that as refunded
        world.stripe.report_elsewhere(
            replace(refund.report.parameters, amount=700, refund_reference="somebody-else")
        )
        # Then nothing of it is surely somebody else's
        world.refund("two", amount=1)
        assert world.payment().foreign_in_book == 0

    def test_what_was_learnt_is_what_the_ledger_holds(self, world: World) -> None:
        # Given a payment whose charge lists more than one transaction takes
        world.refund("k", amount=1)
        world.clock.advance(STEP_MS)
        for _ in range(41):
            world.in_dashboard(1)
        request = world.command("other").request
        located = world.execute.locator.locate(payment_named_by(request), CHARGE, world.deadline())
        # When that is looked at, nothing is written
        looked = world.learn.look(located.seen)
        assert (len(looked.imports), world.imported()) == (41, [])
        # And when it is learnt, it is written
        learnt = world.learn(located.seen, world.deadline())
        assert len(learnt.imports) == len(world.imported()) == 41
        assert learnt.stored == learnt.current == world.payment()
        assert looked.current.held == learnt.current.held
        assert learnt.snapshot == looked.snapshot == ()

    def test_what_shows_as_a_sum_only_counts_beside_what_is_ours(self, world: World) -> None:
        world.refund("one", amount=1000)
        world.processor.lists_refunds = False
        world.in_dashboard(500)
        world.refund("two", amount=1)
        assert world.payment().foreign_on_charge == 500

    def test_while_the_slot_is_taken_nothing_is_imported(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        world.refund("k", amount=2500)
        world.in_dashboard(1)
        world.observe(CHARGE, world.deadline())
        assert world.imported() == []

    def test_where_the_charge_is_not_read_stripes_sum_tells_of_others(self) -> None:
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        # Given a report that is booked, one that is due, and one of somebody else
        first = world.refund("one", amount=1000).refund
        world.report(first.id)
        second = world.refund("two", amount=500).refund
        assert second.report.parameters is not None
        world.stripe.report_elsewhere(
            replace(second.report.parameters, amount=700, refund_reference="somebody-else")
        )
        # Then what is beyond both is foreign
        world.refund("three", amount=1)
        assert world.payment().foreign_in_book == 700 - 500

    @pytest.mark.parametrize(
        ("amount", "age_ms", "linked"),
        # Another zone makes it seem hours older than the instruction; of more than a day no clock
        # is the cause.
        [
            (2500, 0, True),
            (2500, 8 * HOUR_MS, True),
            (2500, 24 * HOUR_MS + STEP_MS, True),
            (2500, 24 * HOUR_MS + STEP_MS + 1000, False),
            (2500, 48 * HOUR_MS, False),
            (2499, 0, False),
        ],
    )
    def test_one_that_a_failed_refund_may_be_after_all_is_linked_to_it(
        self, world: World, amount: int, age_ms: int, linked: bool
    ) -> None:
        # Given a refund of SGD 25.00 that failed without evidence
        world.processor.fates.append(RequestLost())
        failed = world.refund("k", amount=2500).refund
        payment = replace(world.payment(), slot=None, doubtful=("rfd_gone", failed.id))
        world.ledger.payments[CHARGE] = payment
        world.ledger.refunds[failed.id] = replace(failed, state=State.FAILED)
        world.clock.advance(STEP_MS)
        # When a processor refund shows up
        processor_refund = world.processor.refund_in_dashboard("charge-1", amount, age_ms=age_ms)
        assert isinstance(processor_refund, ProcessorRefund)
        name = processor_refund.id
        world.observe(CHARGE, world.deadline())
        # Then it is linked if it may be the same
        (refund,) = world.imported()
        assert refund.contradicts == (failed.id if linked else None)
        told = [{"movement": name, "failed": failed.id}] if linked else []
        assert world.noted("movement_contradicts") == told

    def test_one_that_shows_its_instruction_is_that_refund_after_all(self, world: World) -> None:
        # Given two refunds of one amount that failed without evidence
        world.processor.books.names_instructions = True
        for key in ("k1", "k2"):
            world.processor.fates.append(RequestLost())
            failed = world.refund(key, amount=2500).refund
            world.ledger.refunds[failed.id] = replace(failed, state=State.FAILED)
            world.ledger.payments[CHARGE] = replace(world.payment(), slot=None)
        both = (world.stored("k1").id, world.stored("k2").id)
        world.ledger.payments[CHARGE] = replace(world.payment(), doubtful=both)
        # When a processor refund shows up that says whose instruction it is
        charge = world.processor.books.charges["charge-1"]
        world.processor.books.move(charge, Money(2500, "sgd"), world.stored("k2").id)
        world.observe(CHARGE, world.deadline())
        # Then that one has succeeded, and nothing is imported
        assert world.imported() == []
        states = [world.stored(key).state for key in ("k1", "k2")]
        assert states == [State.FAILED, State.SUCCEEDED]
        assert world.payment().doubtful == (world.stored("k1").id,)
        assert world.noted("refund_moved_after_all") != []

    def test_one_that_shows_an_instruction_of_nobody_is_imported(self, world: World) -> None:
        world.refund("k", amount=1)
        world.processor.books.names_instructions = True
        charge = world.processor.books.charges["charge-1"]
        world.processor.books.move(charge, Money(2500, "sgd"), refund_id_of("k3", STAGE))
        world.observe(CHARGE, world.deadline())
        (refund,) = world.imported()
        assert (refund.amount, refund.contradicts) == (2500, None)

    def test_forty_imports_fit_into_one_transaction(self, world: World) -> None:
        for _ in range(41):
            world.in_dashboard(1)
        sizes, sums = list[int](), list[int]()
        commit = world.ledger.commit

        def counted(written: Commit) -> None:
            sizes.append(len(written.refunds))
            sums.append(written.payments[0].after.moved)
            commit(written)

        world.ledger.commit = counted  # type: ignore[method-assign, assignment]
        world.refund("k", amount=1)
        # And each leaves a payment that counts all that was imported until then
        assert (sizes[:2], sums[:2]) == ([40, 1], [40, 41])
        assert (world.payment().moved, world.payment().report_due_amount) == (42, 42)
