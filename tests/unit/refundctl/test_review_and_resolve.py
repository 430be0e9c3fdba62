"""What needs a person is shown with the evidence of all sides, and a person decides."""

import getpass
import re
from dataclasses import replace

import pytest

from refund_bridge.domain.charge import ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refundctl.exits import Exit
from refundctl.output import Output
from tests.fakes.processor_fates import Conduct, ReplyLost, RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.refundctl.operator import WHO, Operator

HOUR_MS = 60 * STEP_MS


@pytest.fixture(autouse=True)
def kim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose machine it is."""
    monkeypatch.setattr(getpass, "getuser", lambda: "kim")


@pytest.fixture
def lost(world: World) -> Refund:
    """SGD 25.00 that HitPay never got, in review after the hold."""
    world.processor.fates.append(RequestLost())
    refund = world.refund("k", amount=2500).refund
    world.settle_for(HOLD_MS + 2 * HOUR_MS)
    return refund


@pytest.fixture
def doubtful(world: World) -> Refund:
    """SGD 25.00 that HitPay executed, beside a dashboard refund of the same amount."""
    world.refund("other", amount=300)
    world.processor.fates.append(ReplyLost())
    refund = world.refund("k", amount=2500).refund
    dashboard(world)
    world.settle_due()
    return refund


def dashboard(world: World, amount: int = 2500) -> ProcessorRefund:
    made = world.processor.refund_in_dashboard("charge-1", amount)
    assert isinstance(made, ProcessorRefund)
    return made


def ours(world: World) -> str:
    (processor_refund,) = world.processor.moved_by(world.stored("k").id)
    return processor_refund.id


class TestReview:
    def test_another_amount_under_our_instruction_is_told_from_what_is_not_ours(
        self, world: World, operator: Operator
    ) -> None:
        # Given an instruction without an answer, of which 24.00 went out instead of 25.00
        world.processor.books.names_instructions = True
        world.processor.fates.append(ReplyLost())
        refund = world.refund("k", amount=2500).refund
        (moved,) = world.processor.books.refunds.values()
        moved.processor_refund = replace(moved.processor_refund, money=Money(2400, "sgd"))
        world.settle_for(HOLD_MS + 2 * HOUR_MS)
        # When somebody looks into it
        (shown,) = operator.json("review")
        # Then it is neither offered as this refund's, nor called somebody else's
        (listed,) = shown["charge"]["movements"]
        assert listed["verdict"] == "ANOTHER AMOUNT UNDER OUR ORDER"
        assert shown["candidates"] == []
        text = operator.done("review").out
        assert "Nothing that is listed can be ours" not in text
        assert f"resolve {refund.id} --failed --despite-evidence" in text

    def test_all_sides_stand_side_by_side(
        self, world: World, operator: Operator, doubtful: Refund
    ) -> None:
        other = world.stored("other")
        (shown,) = operator.json("review")
        # What we sent, and when
        assert shown["refund"]["id"] == doubtful.id
        assert shown["refund"]["ledger"]["sent_at"].startswith("2023-11-14T")
        # What HitPay lists now, and whose each is
        listed = {one["id"]: one for one in shown["charge"]["movements"]}
        assert listed[other.processor_refund_id]["claimed_by"] == other.id
        assert listed[other.processor_refund_id]["verdict"] == f"belongs to {other.id}"
        assert shown["candidates"] == [ours(world), "hitpay-refund-3"]
        # What Stripe shows now
        assert shown["stripe"] == {
            "payment_record": "pr_1",
            "currency": "sgd",
            "captured": 9999,
            "refunded": 0,
        }
        # And the same for a person, with what may be decided
        text = operator.done("review").out
        for fact in (
            doubtful.id,
            "SGD 25.00",
            "CAN BE OURS",
            f"belongs to {other.id}",
            f"refundctl resolve {doubtful.id} --succeeded {ours(world)}",
            "2 processor refunds of this amount",
            "SGD 99.99",
        ):
            assert fact in text

    def test_the_looks_before_a_review_are_not_said_to_be_none(
        self, operator: Operator, lost: Refund
    ) -> None:
        # Given a review after several looks, whose count began anew with it
        text = operator.done("review").out
        assert lost.id in text
        assert re.search(r"last look +no processor refund found *$", text, re.MULTILINE)

    def test_what_was_there_before_we_sent_is_said(self, world: World, operator: Operator) -> None:
        # Given a dashboard refund that failed, of the same amount, before ours
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        before = dashboard(world)
        world.processor.books.conduct = Conduct()
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        dashboard(world, 2600)
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.FAILED)
        failed = dashboard(world)
        (shown,) = operator.json(f"review {refund.id}")
        verdicts = [one["verdict"] for one in shown["charge"]["movements"]]
        assert verdicts == ["was there before we sent", "another amount", "failed"]
        assert shown["refund"]["ledger"]["snapshot"] == [before.id]
        assert shown["candidates"] == []
        assert failed.id in operator.done(f"review {refund.id}").out

    def test_without_a_snapshot_what_is_older_is_said(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        processor_refund = dashboard(world)
        stored = world.stored("k")
        world.ledger.refunds[stored.id] = replace(stored, snapshot=None)
        kept = world.processor.books.refunds[processor_refund.id]
        kept.processor_refund = replace(processor_refund, created_at_ms=1000)
        (shown,) = operator.json("review")
        assert shown["charge"]["movements"][0]["verdict"] == "older than our sending"
        assert "was not read before" in operator.done("review").out

    def test_one_that_is_bound_is_said_to_be(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = dashboard(world)
        operator.done(f"resolve {lost.id} --succeeded {processor_refund.id} --yes")
        (shown,) = operator.json("review")
        assert shown["charge"]["movements"][0]["verdict"] == "bound to this refund"

    def test_a_provider_that_is_away_hides_nothing_else(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.processor.is_down = world.stripe.is_down = True
        (shown,) = operator.json("review")
        assert (shown["charge"], shown["stripe"]) == (None, None)
        assert "no whole answer" in shown["charge_trouble"]
        assert "no whole answer" in shown["stripe_trouble"]
        assert "could not be read" in operator.done("review").out

    def test_a_charge_that_lists_nothing_readable_is_said(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.processor.lists_refunds = False
        assert operator.json("review")[0]["charge"]["movements"] is None
        assert "does not list its refunds" in operator.done("review").out

    def test_reviews_are_found_however_old_they_are(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.clock.advance(500 * 24 * HOUR_MS)
        assert [one["refund"]["id"] for one in operator.json("review")] == [lost.id]

    def test_none_is_said_to_be_none(self, operator: Operator) -> None:
        assert operator.json("review") == []
        told = operator.done("review --stage production").err
        assert "No refund is in review" in told
        assert "refundctl list --report failed --stage production" in told

    def test_a_refund_that_does_not_exist(self, operator: Operator) -> None:
        assert operator("review rfd_nobody").exit_code == Exit.REFUSED


class TestResolve:
    def test_a_success_says_what_stripe_is_told_and_is_done(
        self, world: World, operator: Operator, doubtful: Refund
    ) -> None:
        ended = operator.done(f"resolve {doubtful.id} --succeeded {ours(world)} --yes --json")
        assert ended.value == {
            "id": doubtful.id,
            "written": True,
            "actor": f"operator:{WHO} as kim",
            "state": "succeeded",
            "processor_refund_id": ours(world),
            "report": "due",
            "refundable": 7199,
            "left_over": [],
        }
        for fact in (
            "Stripe is told of SGD 25.00 on pr_1",
            f"reference {ours(world)}",
            "succeeded",
        ):
            assert fact in ended.err
        assert "failed would mean: Stripe is told nothing; SGD 25.00" in ended.err
        assert "SGD 96.99" in ended.err  # refundable then
        assert world.stored("k").history[-1].actor == f"operator:{WHO} as kim"

    def test_a_failure_says_what_is_free_again_and_is_done(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        ended = operator.done(
            f"resolve {lost.id} --failed --reason 'ticket 4711' --as night.shift --yes --json"
        )
        assert (ended.value["state"], ended.value["refundable"]) == ("failed", 9999)
        assert ended.value["actor"] == f"operator:{WHO} as night.shift"
        assert "SGD 25.00 may be refunded again (SGD 99.99 in all)" in ended.err
        assert world.stored("k").history[-1].evidence == {"reason": "ticket 4711"}

    def test_again_is_harmless(self, world: World, operator: Operator, lost: Refund) -> None:
        line = f"resolve {lost.id} --failed --reason 'ticket 4711' --yes"
        operator.done(line)
        before = world.stored("k")
        ended = operator.done(f"{line} --json")
        assert (ended.value["written"], ended.value["state"]) == (False, "failed")
        assert "already" in ended.err
        assert world.stored("k") == before

    def test_a_dry_run_says_it_and_does_nothing(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        before = world.stored("k")
        ended = operator.done(f"resolve {lost.id} --failed --reason x --dry-run --json")
        assert (ended.value["written"], ended.value["state"]) == (False, "failed")
        assert "may be refunded again" in ended.err
        assert world.stored("k") == before

    def test_what_the_evidence_does_not_allow_is_refused_with_the_reason(
        self, world: World, operator: Operator, doubtful: Refund
    ) -> None:
        other = world.stored("other")
        for line, told in (
            (f"--succeeded {other.processor_refund_id}", "is SGD 25.00"),
            ("--succeeded hitpay-refund-99", "does not show hitpay-refund-99"),
            ("--failed --reason x", "may still arrive"),
        ):
            ended = operator(f"resolve {doubtful.id} {line} --yes")
            assert (ended.exit_code, ended.out) == (Exit.REFUSED, "")
            assert told in ended.err
        assert world.stored("k").state is State.REVIEW

    def test_a_refund_that_is_already_claimed_is_refused(
        self, world: World, operator: Operator, doubtful: Refund
    ) -> None:
        world.ledger.processor_refunds["hitpay", ours(world)] = "rfd_other"
        ended = operator(f"resolve {doubtful.id} --succeeded {ours(world)} --yes")
        assert ended.exit_code == Exit.REFUSED
        assert "belongs to rfd_other" in ended.err

    def test_an_unknown_outcome_is_not_yet_a_persons_to_decide(
        self, world: World, operator: Operator
    ) -> None:
        world.processor.fates.append(RequestLost())
        refund = world.refund("k", amount=2500).refund
        ended = operator(f"resolve {refund.id} --failed --reason x --yes")
        assert ended.exit_code == Exit.REFUSED
        assert "looked up by itself" in ended.err

    def test_despite_the_evidence_says_what_becomes_of_the_other(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        processor_refund = dashboard(world)
        assert processor_refund.id in operator(f"resolve {lost.id} --failed --reason x --yes").err
        ended = operator.done(
            f"resolve {lost.id} --failed --reason x --despite-evidence --yes --json"
        )
        assert ended.value["left_over"] == [processor_refund.id]
        assert f"{processor_refund.id} is then imported" in ended.err

    def test_one_that_is_pending_is_said_to_be_followed(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.processor.books.conduct = Conduct(ProcessorRefundStatus.PENDING)
        processor_refund = dashboard(world)
        line = f"resolve {lost.id} --succeeded {processor_refund.id} --yes"
        assert "followed to its end" in operator.done(line).err
        assert f"bound to {processor_refund.id} already" in operator.done(line).err

    def test_one_that_no_record_books_says_that_stripe_is_told_nothing(
        self, world: World, operator: Operator, doubtful: Refund
    ) -> None:
        stored = world.stored("k")
        world.ledger.refunds[stored.id] = replace(stored, payment_record=None)
        ended = operator.done(f"resolve {doubtful.id} --succeeded {ours(world)} --yes")
        assert "Stripe is told nothing" in ended.err
        assert "charge charge-1" in ended.err

    def test_somebody_is_asked_before_it_is_written(
        self, world: World, operator: Operator, lost: Refund, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Output, "confirm", lambda *_: False)
        assert operator(f"resolve {lost.id} --failed --reason x").exit_code == Exit.REFUSED
        assert world.stored("k").state is State.REVIEW
        monkeypatch.setattr(Output, "confirm", lambda *_: True)
        assert operator(f"resolve {lost.id} --failed --reason x").exit_code == Exit.DONE
        assert world.stored("k").state is State.FAILED

    def test_nobody_at_the_terminal_has_agreed(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        ended = operator(f"resolve {lost.id} --failed --reason x")
        assert ended.exit_code == Exit.REFUSED
        assert "--yes" in ended.err
        assert world.stored("k").state is State.REVIEW

    def test_evidence_that_changes_while_somebody_is_asked_writes_nothing(
        self,
        world: World,
        operator: Operator,
        lost: Refund,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def asked(*_: object) -> bool:
            dashboard(world)
            return True

        monkeypatch.setattr(Output, "confirm", asked)
        ended = operator(f"resolve {lost.id} --failed --reason x --despite-evidence")
        assert ended.exit_code == Exit.REFUSED
        assert "changed meanwhile" in ended.err
        assert world.stored("k").state is State.REVIEW

    def test_a_machine_that_does_not_say_whose_it_is_must_be_told(
        self,
        world: World,
        operator: Operator,
        lost: Refund,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def nobody() -> str:
            raise OSError

        for name in (nobody, lambda: "who knows"):
            monkeypatch.setattr(getpass, "getuser", name)
            ended = operator(f"resolve {lost.id} --failed --reason x --yes")
            assert ended.exit_code == Exit.MISUSED
            assert "--as" in ended.err

    def test_a_provider_that_is_away_decides_nothing(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        world.processor.is_down = True
        ended = operator(f"resolve {lost.id} --failed --reason x --yes")
        assert (ended.exit_code, ended.out) == (Exit.UNREACHABLE, "")

    def test_what_the_processor_cannot_show_may_be_known_from_elsewhere(
        self, world: World, operator: Operator, lost: Refund
    ) -> None:
        line = f"resolve {lost.id} --succeeded from-the-dashboard --yes"
        ended = operator(line)
        assert ended.exit_code == Exit.REFUSED
        assert "does not show from-the-dashboard" in ended.err
        ended = operator.done(f"{line} --despite-evidence --reason 'its dashboard' --json")
        assert (ended.value["state"], ended.value["report"]) == ("succeeded", "due")
        assert "you know it" in ended.err

    @pytest.mark.parametrize("line", ["--failed", "--succeeded m --despite-evidence"])
    def test_half_an_answer_is_none(self, operator: Operator, line: str) -> None:
        assert operator(f"resolve rfd_x {line} --yes").exit_code == Exit.MISUSED

    def test_a_refund_that_does_not_exist(self, operator: Operator) -> None:
        ended = operator("resolve rfd_nobody --failed --reason x --yes")
        assert ended.exit_code == Exit.REFUSED
        assert "rfd_nobody" in ended.err
