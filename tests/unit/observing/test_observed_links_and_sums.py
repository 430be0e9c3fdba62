"""A hint of the processor: which record books the payment, and whether Stripe's sum fits."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.errors import ProcessorUnavailableError, StripeUnavailableError
from refund_bridge.domain.money import Money
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_record import PaymentRecord
from refund_bridge.observing.observe_payment import Observed
from refund_bridge.ports.ledger import Commit
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.ports.runtime import Deadline
from tests.fakes.processor_fates import Answered
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import STEP_MS, World
from tests.unit.refunding.dashboard import CHARGE, imported, intent, linked_world, observe
from tests.unit.settling.looks_at_refunds import before_next_commit


@pytest.fixture
def world() -> World:
    return linked_world()


def reads_of_stripe(world: World, *, failing: int = 0) -> list[str]:
    """What is read of Stripe's records from now on; the read of that number gets no answer."""
    reads, read, number = list[str](), world.stripe.payment_record, count(1)

    def counted(payment_record: str, deadline: Deadline) -> PaymentRecord:
        reads.append(payment_record)
        if next(number) == failing:
            raise ProviderUnavailableError("503")
        return read(payment_record, deadline)

    world.stripe.payment_record = counted  # type: ignore[method-assign]
    return reads


class TestWhatIsToldOfIt:
    """Each result is returned, and told to the log."""

    def nothing(self, world: World) -> None:
        """A payment of which nothing was refunded."""

    def gone(self, world: World) -> None:
        world.processor.books.charges.clear()

    def gone_since(self, world: World) -> None:
        world.refund("k", amount=1)
        self.gone(world)

    def somebody_elses(self, world: World) -> None:
        world.in_dashboard(2500)
        world.processor.references.clear()

    def not_listed(self, world: World) -> None:
        self.somebody_elses(world)
        world.processor.lists_refunds = False

    def of_ours(self, world: World) -> None:
        world.refund("k", amount=1)

    @pytest.mark.parametrize(
        ("made", "told"),
        [
            (nothing, "nothing_refunded"),
            (gone, "not_found"),
            (gone_since, "not_found"),
            (somebody_elses, "no_trace_of_stripe"),
            (not_listed, "no_trace_of_stripe"),
            (of_ours, "learnt"),
        ],
    )
    def test_it_is_what_was_observed(
        self, world: World, made: Callable[[object, World], None], told: str
    ) -> None:
        made(self, world)
        assert observe(world) == told
        assert world.noted("payment_observed") == [{"charge": "charge-1", "observed": told}]


class TestOthersRefundsThatNoListShows:
    """They cannot be imported; a person is told of their sum."""

    def test_the_smallest_sum_of_a_payment_that_is_not_known_is_told(self, world: World) -> None:
        world.processor.lists_refunds = False
        world.in_dashboard(1)
        observe(world)
        assert world.noted("refunds_not_listed") == [{"charge": "charge-1", "amount": 1}]

    def test_what_came_back_of_ours_hides_nothing_of_it(self, world: World) -> None:
        world.refund("k", amount=2500)
        world.processor.books.set_status("hitpay-refund-1", ProcessorRefundStatus.FAILED)
        observe(world)
        world.processor.lists_refunds = False
        world.in_dashboard(1000)
        observe(world)
        assert world.noted("refunds_not_listed") == [{"charge": "charge-1", "amount": 1000}]

    def test_of_what_is_listed_nobody_is_told(self, world: World) -> None:
        world.in_dashboard(2500)
        observe(world)
        assert world.noted("refunds_not_listed") == []
        assert len(imported(world)) == 1


class TestWhichRecord:
    """The record that the ledger knows, or one that the payment's own reference leads to."""

    def test_a_known_payment_that_has_lost_its_trace_is_still_followed(self, world: World) -> None:
        # Given a payment without a record, known by a refund of others
        world.stripe.references["pi_1"] = intent(None)
        world.in_dashboard(2500)
        observe(world)
        assert world.noted("trace_leads_nowhere") == [
            {"charge": "charge-1", "code": "payment_not_linked"}
        ]
        # When it has no reference any more, and more is refunded
        world.processor.references.clear()
        world.clock.advance(STEP_MS)
        world.in_dashboard(100)
        assert observe(world) is Observed.LEARNT
        assert [one.amount for one in imported(world)] == [100, 2500]

    def test_so_is_one_that_shows_no_refund_any_more(self, world: World) -> None:
        world.stripe.references["pi_1"] = intent(None)
        world.in_dashboard(2500)
        observe(world)
        world.processor.books.refunds.clear()
        assert observe(world) is Observed.LEARNT

    def test_a_record_may_also_name_a_payment_of_another_processor(self) -> None:
        # Given a payment that is not known, whose reference leads to such a record
        world = World(doors=("hitpay", "hedge"))
        world.pay()
        world.processor.references["charge-1"] = "pi_1"
        world.stripe.references["pi_1"] = intent("pr_1")
        names = world.stripe.books.records["pr_1"].metadata
        world.stripe.books.records["pr_1"].metadata = {**names, "hedge_payment_id": "charge-h"}
        world.in_dashboard(2500)
        # When its processor hints at it
        observe(world)
        # Then it is that processor's payment
        assert world.noted("trace_leads_nowhere") == []
        assert [one.payment_record for one in imported(world)] == ["pr_1"]

    def test_a_payment_that_its_processor_does_not_show_has_nothing_unlisted(self) -> None:
        world = World(doors=("ccg",))
        world.pay()
        refund = world.refund("k", amount=2500).refund
        assert world.observe(world.payment().key, world.deadline()) is Observed.LEARNT
        assert world.stored("k") == refund
        assert world.noted("refunds_not_listed") == []

    @pytest.mark.parametrize("away", ["stripe", "processor"])
    def test_a_provider_that_is_away_disagrees_with_nothing(self, world: World, away: str) -> None:
        world.refund("k", amount=1)
        world.stripe.is_down = away == "stripe"
        world.processor.is_down = away == "processor"
        with pytest.raises((StripeUnavailableError, ProcessorUnavailableError)):
            observe(world)
        assert world.noted("link_disagrees") == []

    def wrongly_linked(self, world: World) -> None:
        """A wrong link, later mended at Stripe, under which a refund was asked for."""
        world.processor.add_charge("charge-wrong", Money(9999, "sgd"))
        record = world.stripe.books.records["pr_1"]
        right, record.metadata = dict(record.metadata), {"hitpay_payment_id": "charge-wrong"}
        world.refund("wrong", amount=5000)
        record.metadata = right
        world.in_dashboard(2500)

    def test_a_record_that_another_payment_has_without_using_it_is_taken_over(
        self, world: World
    ) -> None:
        world.processor.fates.append(Answered(403, "The charge is not yours."))
        self.wrongly_linked(world)
        assert observe(world) is Observed.LEARNT
        assert [one.payment_record for one in imported(world)] == ["pr_1"]
        assert world.ledger.records == {"pr_1": CHARGE}
        assert world.noted("link_mended") == [{"payment_record": "pr_1", "charge": "charge-1"}]

    def test_one_under_which_money_moved_stays_where_it_is(self, world: World) -> None:
        self.wrongly_linked(world)
        assert observe(world) is Observed.LEARNT
        assert [one.payment_record for one in imported(world)] == [None]
        assert world.ledger.records == {"pr_1": PaymentKey("hitpay", "charge-wrong")}

    def test_nor_is_it_taken_from_one_that_gets_it_a_moment_earlier(self, world: World) -> None:
        # Given a payment of which money was refunded, and that is given the record meanwhile
        world.pay("2")
        world.refund("other", record="pr_2")
        used = replace(world.payment("2"), payment_record="pr_1")
        world.in_dashboard(2500)

        def meanwhile(_: Commit) -> None:
            world.ledger.payments[used.key] = used
            world.ledger.records["pr_1"] = used.key

        before_next_commit(world, meanwhile)
        assert observe(world) is Observed.LEARNT
        assert [one.payment_record for one in imported(world)] == [None]
        assert world.ledger.records["pr_1"] == used.key


class TestWhetherTheSumFits:
    """What Stripe shows beyond all that is reported is looked at at once."""

    @pytest.fixture
    def world(self) -> World:
        """A payment with a refund of which Stripe was told, and a booking for nothing."""
        made = linked_world()
        made.report(made.refund("k", amount=1000).refund.id)
        made.book_by_hand(300, "ticket-for-nothing")
        return made

    def test_if_it_does_not_a_second_read_shows_it_to_a_person(self, world: World) -> None:
        reads = reads_of_stripe(world)
        observe(world)
        assert reads == ["pr_1", "pr_1"]
        (alarm,) = world.noted("stripe_higher")
        assert (alarm["charge"], alarm["amount"]) == ("charge-1", 300)

    def test_where_it_does_stripe_is_read_once(self) -> None:
        world = linked_world()
        world.report(world.refund("k", amount=1000).refund.id)
        reads = reads_of_stripe(world)
        observe(world)
        assert reads == ["pr_1"]

    def test_while_a_report_is_due_that_is_the_reporters_business(self, world: World) -> None:
        world.refund("due", amount=1)
        reads = reads_of_stripe(world)
        observe(world)
        assert reads == ["pr_1"]

    def test_where_stripe_disagrees_with_the_link_there_is_no_sum(self, world: World) -> None:
        observe(world)
        world.stripe.books.records.clear()
        assert observe(world) is Observed.LEARNT
        assert len(world.noted("link_disagrees")) == 1
        assert world.noted("sums_not_read") == []

    def test_a_sum_that_cannot_be_read_keeps_nothing_from_being_learnt(self, world: World) -> None:
        reads_of_stripe(world, failing=2)
        assert observe(world) is Observed.LEARNT
        assert world.noted("sums_not_read") == [
            {"charge": "charge-1", "error": "StripeUnavailableError"}
        ]

    def test_nor_does_a_worker_that_is_reporting_just_then(self, world: World) -> None:
        later = replace(world.payment(), report_lease_until_ms=world.clock.now_ms() + 1)
        world.ledger.payments[CHARGE] = later
        assert observe(world) is Observed.LEARNT
        assert world.noted("sums_not_read") == [
            {"charge": "charge-1", "error": "LedgerConflictError"}
        ]


def test_a_record_that_names_another_charge_is_told_with_both() -> None:
    # Given a PaymentIntent that leads to a record, which names another payment
    world = linked_world()
    world.processor.add_charge("charge-other", Money(9999, "sgd"))
    world.stripe.add_record(
        FakeRecord("pr_o", "sgd", 9999, 9999, metadata={"hitpay_payment_id": "charge-other"})
    )
    world.stripe.references["pi_1"] = intent("pr_o")
    world.in_dashboard(2500)
    observe(world)
    assert world.noted("trace_leads_elsewhere") == [{"charge": "charge-1", "to": "charge-other"}]
