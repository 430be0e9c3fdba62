"""Reports that somebody must decide about, sums that are too high, and links that are wrong."""

import getpass
from dataclasses import replace

import pytest

from deployed.command_lines import WORDS
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.report import ReportCause
from refund_bridge.domain.state_machine import ReportState
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.world import GRACE_MS, STEP_MS, World
from tests.unit.refundctl.operator import WHO, Operator

CHARGE = PaymentKey("hitpay", "charge-1")


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")


@pytest.fixture
def undecided(world: World) -> Refund:
    """SGD 25.00 that moved, and nobody can tell whether Stripe was told of it."""
    world.refund("k", amount=2500)
    world.clock.advance(GRACE_MS + STEP_MS)
    # Staff booked something that makes no sense beside it
    world.book_by_hand(300, "ticket")
    world.live_for(10 * STEP_MS)
    refund = world.stored("k")
    assert refund.report.cause is ReportCause.CANNOT_TELL
    return refund


class TestReport:
    def test_what_is_owed_is_told_whatever_the_sums_say(
        self, world: World, operator: Operator, undecided: Refund
    ) -> None:
        ended = operator.done(f"report {undecided.id} --owed --reason 'ticket 1' --yes --json")
        assert (ended.value["written"], ended.value["report"]) == (True, "due")
        assert ended.value["actor"] == f"operator:{WHO} as kim"
        for fact in (
            "its report is failed, cannot_tell",
            "Stripe shows SGD 3.00 of SGD 99.99 refunded on pr_1",
            "> owed: Stripe is told of SGD 25.00 on pr_1",
            "At hitpay nothing changes",
        ):
            assert fact in ended.err
        stored = world.stored("k")
        assert (stored.report.state, stored.report.forced) == (ReportState.DUE, True)
        assert stored.history[-1].evidence == {"reason": "ticket 1"}

    def test_what_others_told_must_be_in_stripes_sum(
        self, world: World, operator: Operator, undecided: Refund
    ) -> None:
        line = f"report {undecided.id} --told --reason 'ticket 1' --yes --json"
        ended = operator(line)
        assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
        assert "the sum that Stripe shows as refunded is SGD 22.00 too small" in ended.err
        # When Stripe shows it
        world.book_by_hand(2500, "ticket-2")
        ended = operator.done(line)
        assert (ended.value["report"], ended.value["cause"]) == ("reported", "told_by_person")
        assert ended.value["unexplained"] == 2800

    def test_what_is_waived_is_never_told(
        self, world: World, operator: Operator, undecided: Refund
    ) -> None:
        ended = operator.done(f"report {undecided.id} --waive --reason 'no room' --yes --json")
        assert (ended.value["report"], ended.value["cause"]) == ("not_due", "waived")
        assert "> waived: Stripe is never told of SGD 25.00" in ended.err
        assert "not_due, waived" in operator.done(f"show {undecided.id}").out
        # And waiving it once more adds nothing to its history
        known = world.stored("k")
        again = operator(f"report {undecided.id} --waive --reason 'no room' --yes")
        assert again.exit_code == Exit.REFUSED
        assert world.stored("k") == known

    def test_what_was_waived_by_mistake_is_told_after_all(
        self, world: World, operator: Operator, undecided: Refund
    ) -> None:
        operator.done(f"report {undecided.id} --waive --reason 'no room' --yes")
        operator.done(f"report {undecided.id} --owed --reason 'the wrong one' --yes")
        world.live_for(10 * STEP_MS)
        stored = world.stored("k")
        assert (stored.report.state, stored.report.cause) == (
            ReportState.REPORTED,
            ReportCause.BY_US,
        )
        assert world.at_stripe == 2500 + 300

    def test_a_dry_run_writes_nothing(
        self, world: World, operator: Operator, undecided: Refund
    ) -> None:
        told = operator.json(f"report {undecided.id} --waive --reason x --dry-run")
        assert (told["written"], told["report"], told["cause"]) == (False, "not_due", "waived")
        assert world.stored("k") == undecided

    def test_somebody_is_asked_before_it_is_written(
        self,
        world: World,
        operator: Operator,
        undecided: Refund,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(Output, "confirm", lambda *_: False)
        assert operator(f"report {undecided.id} --owed --reason x").exit_code == Exit.REFUSED
        assert world.stored("k") == undecided
        monkeypatch.setattr(Output, "confirm", lambda *_: True)
        assert "its report is due" in operator.done(f"report {undecided.id} --owed --reason x").out

    def test_it_is_offered_where_nobody_can_tell(
        self, operator: Operator, undecided: Refund
    ) -> None:
        shown = operator.done(f"show {undecided.id}").out
        for answer in ("told", "owed", "waive"):
            assert f"report {undecided.id} --{answer} --reason '{WORDS}' --dry-run" in shown
        assert operator.json(f"show {undecided.id}")["stripe_report"]["cause"] == "cannot_tell"

    @pytest.mark.parametrize("line", ["--owed", "--reason x", "--owed --told --reason x"])
    def test_half_an_answer_is_none(self, operator: Operator, line: str) -> None:
        with pytest.raises(SystemExit) as ended:
            operator(f"report rfd_x {line}")
        assert ended.value.code == Exit.MISUSED

    def test_what_is_certain_or_unknown_is_refused(self, world: World, operator: Operator) -> None:
        world.report(world.refund("k", amount=2500).refund.id)
        stored = world.stored("k")
        ended = operator(f"report {stored.id} --owed --reason x --yes")
        assert ended.exit_code == Exit.REFUSED
        assert "there is nothing to decide about it" in ended.err
        assert operator("report rfd_nobody --owed --reason x").exit_code == Exit.REFUSED

    def test_what_stripe_does_not_show_any_more_is_told_again(
        self, world: World, operator: Operator
    ) -> None:
        # Given two refunds that Stripe took, and shows one of them only
        for key, amount in (("k", 2500), ("l", 1000)):
            world.report(world.refund(key, amount=amount).refund.id)
        lost = next(one for one in world.stripe.books.reports if one.parameters.amount == 2500)
        world.stripe.books.reports.remove(lost)
        world.stripe.forget_keys()
        # When a person says that both are owed, not knowing which
        for key in "lk":
            operator.done(f"report {world.stored(key).id} --owed --reason 'not shown' --yes")
            world.live_for(60 * STEP_MS)
        # Then Stripe takes the missing one, and refuses the other
        assert world.at_stripe == 3500
        assert world.stored("k").report.state is ReportState.REPORTED
        assert world.stored("l").report.cause is ReportCause.REFUSED
        # And that is closed as told
        operator.done(f"report {world.stored('l').id} --told --reason 'it is shown' --yes")
        assert world.payment().booked == 3500


class TestAcceptExcess:
    def test_what_stripe_shows_too_much_is_accepted(self, world: World, operator: Operator) -> None:
        world.report(world.refund("k", amount=2500).refund.id)
        world.book_by_hand(300, "ticket")
        line = "record pr_1 --accept-excess --reason 'booked twice, ticket 2'"
        told = operator.json(f"{line} --dry-run")
        assert (told["written"], told["accepted"], told["unexplained"]) == (False, 300, 300)
        ended = operator.done(f"{line} --yes --json")
        assert (ended.value["written"], ended.value["accepted"]) == (True, 300)
        assert "> accepted: SGD 3.00 of what Stripe shows stands for no refund" in ended.err
        (payment,) = world.ledger.payments.values()
        assert payment.accepted_excess == 300
        # And there is nothing left to accept
        assert "Refused: pr_1" in operator(f"{line} --yes").err

    def test_what_was_a_refund_that_is_learnt_later_is_closed_by_waiving_it(
        self, world: World, operator: Operator
    ) -> None:
        # Given what staff told Stripe under HitPay's id, accepted before that refund is known here
        world.report(world.refund("k", amount=2500).refund.id)
        world.book_by_hand(300, "hitpay-refund-2")
        operator.done("record pr_1 --accept-excess --reason 'told twice' --yes")
        # When it is learnt, then Stripe is told of it once more, and refuses
        assert world.in_dashboard(300).id == "hitpay-refund-2"
        world.observe(CHARGE, world.deadline())
        world.live_for(10 * STEP_MS)
        (theirs,) = world.imported()
        assert theirs.report.cause is ReportCause.REFUSED
        # And nobody can say that it was told, as its sum is accepted already
        told = operator(f"report {theirs.id} --told --reason 'it is shown' --yes")
        assert (told.exit_code, told.out) == (Exit.REFUSED, "")
        # But that it is never told leaves nothing unexplained
        waived = operator.done(f"report {theirs.id} --waive --reason 'it is shown' --yes --json")
        assert (waived.value["cause"], waived.value["unexplained"]) == ("waived", 0)
        assert world.at_stripe == world.at_processor == 2800

    def test_without_an_excess_it_is_refused(self, world: World, operator: Operator) -> None:
        world.refund("k", amount=2500)
        ended = operator("record pr_1 --accept-excess --reason x --yes")
        assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
        assert "less what was reported is SGD 0.00" in ended.err
        assert operator("record pr_no --accept-excess --reason x").exit_code == Exit.REFUSED


class TestUnlink:
    @pytest.fixture
    def linked(self, world: World) -> None:
        """A link under which no money moved."""
        world.refund("k", amount=2500)
        (payment,) = world.ledger.payments.values()
        world.ledger.payments[payment.key] = replace(payment, held=0, moved=0)

    @pytest.mark.usefixtures("linked")
    def test_a_wrong_link_is_taken_back(self, world: World, operator: Operator) -> None:
        told = operator.json("unlink pr_1 --dry-run")
        assert (told["written"], told["processor_payment_id"]) == (False, "charge-1")
        ended = operator.done("unlink pr_1 --yes --json")
        assert ended.value["written"] is True
        assert "is linked to charge charge-1 (hitpay) no more" in ended.err
        (payment,) = world.ledger.payments.values()
        assert payment.payment_record is None
        assert operator("unlink pr_1 --yes").exit_code == Exit.REFUSED

    def test_one_under_which_money_moved_stays(self, world: World, operator: Operator) -> None:
        world.refund("k", amount=2500)
        ended = operator("unlink pr_1 --yes")
        assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
        assert "of which SGD 25.00 was refunded or may still be: that link stays" in ended.err
