"""The amount held, the slot taken and the intent written, in one transaction or not at all."""

from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    OutcomeUnknownError,
    PaymentBusyError,
    PaymentLinkConflictError,
    PaymentNotRefundableError,
    RefundAmountExceededError,
    RefundBridgeError,
)
from refund_bridge.domain.payment import PaymentKey
from refund_bridge.domain.payment_reference import payment_named_by
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType, RefundType, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import (
    ClaimConflictError,
    Commit,
    LedgerConflictError,
    LedgerUnavailableError,
    PaymentWrite,
    ProcessorRefundClaim,
    RecordClaim,
)
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.refunding.reserve import TakenByAnotherCallError
from tests.contract.ledger.examples import a_refund
from tests.fakes.processor_fates import ExecutedLate, NotSent, RequestLost
from tests.fakes.stripe_records import FakeRecord
from tests.fakes.world import LEASE_MS, World

SCHEDULED = RefundType.SCHEDULED
CHARGE = PaymentKey("hitpay", "charge-1")


class Gate:
    """What happens to the next commits of a world's ledger; each is remembered."""

    def __init__(self, world: World) -> None:
        self.through = world.ledger.commit
        self.commits: list[Commit] = []
        self.mishaps: deque[Callable[[Commit], object]] = deque()
        world.ledger.commit = self  # type: ignore[method-assign]

    def __call__(self, commit: Commit) -> None:
        self.commits.append(commit)
        if self.mishaps:
            self.mishaps.popleft()(commit)
        self.through(commit)

    def lost(self, commit: Commit) -> None:
        """The request is lost."""
        raise LedgerUnavailableError("no answer")

    def applied(self, commit: Commit) -> None:
        """The write is applied and its reply is lost."""
        self.through(commit)
        raise LedgerUnavailableError("no answer")

    def raced(self, commit: Commit) -> None:
        """Somebody else was faster."""
        raise LedgerConflictError("race")


@pytest.fixture
def gate(world: World) -> Gate:
    return Gate(world)


def intent(world: World, gate: Gate, **asked: Any) -> Refund:
    """The refund as the reservation wrote it."""
    world.refund("k", **asked)
    return gate.commits[0].refunds[0].after


class TestIntent:
    """What is durable before anything is sent."""

    def test_it_says_who_asked_for_what_and_when(self, world: World, gate: Gate) -> None:
        # When a refund by an intent is asked for
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        written = intent(
            world, gate, amount=2500, record="pi_1", reference_type=ReferenceType.PAYMENT_INTENT
        )
        # Then what was asked, and where it led, is written
        now_ms = world.clock.now_ms()
        assert (written.state, written.source) == (State.SUBMITTING, Source.API)
        assert (written.processor, written.processor_payment_id) == ("hitpay", "charge-1")
        assert (written.payment_record, written.payment_intent) == ("pr_1", "pi_1")
        assert written.invoice is None
        assert (written.amount, written.currency) == (2500, "sgd")
        assert (written.created_at_ms, written.updated_at_ms) == (now_ms, now_ms)
        assert (written.idempotency_key, written.account) == ("k", "account-1")
        # And the first line of its history says so
        (line,) = written.history
        assert (line.cause, line.actor, line.at_ms) == ("reserved", "api_key:test", now_ms)
        assert line.evidence == {"amount": 2500, "currency": "sgd"}

    def test_an_invoice_is_kept(self, world: World, gate: Gate) -> None:
        world.stripe.add_reference(
            "in_1", {"stripe_payment_record_id": "pr_1", "hitpay_payment_id": "charge-1"}
        )
        written = intent(world, gate, record="in_1", reference_type=ReferenceType.INVOICE)
        assert (written.invoice, written.payment_intent) == ("in_1", None)

    def test_its_attempt_has_a_lease_and_is_looked_at_five_seconds_after_it(
        self, world: World, gate: Gate
    ) -> None:
        written = intent(world, gate)
        now_ms = world.clock.now_ms()
        assert (written.attempt, written.token) == (1, "call-1")
        assert (written.started_at_ms, written.lease_until_ms) == (now_ms, now_ms + LEASE_MS)
        assert written.next_check_ms == now_ms + LEASE_MS + 5_000
        assert (written.look_ups, written.snapshot) == (0, ())

    def test_a_scheduled_one_is_due_at_once_and_has_made_no_attempt(
        self, world: World, gate: Gate
    ) -> None:
        written = intent(world, gate, refund_type=SCHEDULED)
        assert (written.state, written.attempt) == (State.REQUESTED, 0)
        assert written.token == "call-1"
        assert written.next_check_ms == world.clock.now_ms()
        assert (written.lease_until_ms, written.started_at_ms) == (None, None)

    def test_the_first_one_of_a_payment_claims_the_link_and_the_next_does_not(
        self, world: World, gate: Gate
    ) -> None:
        world.refund("one", amount=1)
        world.refund("two", amount=1)
        intents = [commit for commit in gate.commits if commit.refunds[0].after.attempt == 1]
        claims = [list(commit.claims) for commit in intents if len(commit.payments) == 1]
        assert [one for one in claims if one and isinstance(one[0], RecordClaim)] == [
            [RecordClaim("pr_1", CHARGE)]
        ]

    def test_a_second_attempt_is_told_apart_from_the_first(self, world: World, gate: Gate) -> None:
        # Given an aborted refund
        world.processor.fates.append(NotSent())
        world.refund("k")
        world.clock.advance(7_000)
        gate.commits.clear()
        # When its key comes again
        world.refund("k")
        # Then the intent is a new attempt of the same refund
        written = gate.commits[0].refunds[0].after
        assert (written.attempt, written.token, written.failure) == (2, "call-2", None)
        assert written.started_at_ms == world.clock.now_ms()
        assert written.created_at_ms == world.clock.now_ms() - 7_000
        assert [line.cause for line in written.history] == ["reserved", "aborted", "reserved"]

    @pytest.mark.parametrize(("attempt", "last"), [(99, False), (100, True)])
    def test_after_a_hundred_attempts_the_key_is_spent(
        self, world: World, attempt: int, last: bool
    ) -> None:
        world.processor.fates.append(NotSent())
        refund = world.refund("k").refund
        world.ledger.refunds[refund.id] = replace(refund, attempt=attempt)
        if not last:
            assert world.refund("k").refund.attempt == attempt + 1
            return
        with pytest.raises(AttemptsSpentError, match="in 100 attempts") as spent:
            world.refund("k")
        assert spent.value.details == {"refund": refund.id, "attempts": 100}
        assert len(world.processor.instructions) == 1

    def test_an_attempt_has_nothing_of_the_one_before(self, world: World) -> None:
        # Given an aborted attempt at another account that was looked for, and refused for a while
        world.processor.fates.append(NotSent())
        before = world.refund("k").refund
        old = replace(before, look_ups=2, refused_since_ms=1, account="account-0")
        world.ledger.refunds[before.id] = old
        # When its key comes again
        world.processor.fates.append(RequestLost())
        refund = world.refund("k").refund
        # Then it begins anew
        facts = (refund.look_ups, refund.refused_since_ms, refund.account)
        assert facts == (0, None, "account-1")

    def test_what_is_handed_on_is_what_the_ledger_holds(self, world: World) -> None:
        # When refund and payment are new, and when they are not
        for key, amount in (("new", 1), ("known", 2)):
            answer = world.refund(key, amount=amount, refund_type=SCHEDULED)
            # Then they come back with the revisions that they have
            assert answer.refund == world.stored(key)
            assert answer.payment == world.payment()


class TestAmount:
    """What is left decides, and callers are told the sums."""

    def facts(self, refused: RefundBridgeError) -> tuple[object, ...]:
        return tuple(refused.details.values())

    def test_more_than_is_left(self, world: World) -> None:
        world.refund("one", amount=2500)
        with pytest.raises(RefundAmountExceededError) as refused:
            world.refund("two", amount=7500)
        assert refused.value.details == {
            "original_amount": 9999,
            "already_refunded": 2500,
            "remaining_refundable": 7499,
            "requested_refund": 7500,
        }

    def test_nothing_is_left(self, world: World) -> None:
        world.refund("one")
        with pytest.raises(PaymentNotRefundableError) as refused:
            world.refund("two", amount=1)
        assert self.facts(refused.value) == (9999, 9999, 0, 1)

    def test_an_amount_that_stripe_could_not_be_told(self, world: World) -> None:
        world.pay("kwd", 5000, "kwd")
        with pytest.raises(AmountRefusedError, match="multiples of 10") as refused:
            world.refund("k", record="pr_kwd", amount=1001)
        assert self.facts(refused.value) == (5000, 0, 5000, 1001)

    def test_the_last_cent_can_be_refunded(self, world: World) -> None:
        world.refund("one", amount=9998)
        assert world.refund("two", amount=1).refund.state is State.SUCCEEDED

    def test_a_scheduled_refund_does_not_stand_in_its_own_way(self, world: World) -> None:
        # Given a scheduled refund of everything, so that nothing is left
        world.refund("k", refund_type=SCHEDULED)
        assert world.payment().refundable == 0
        # When its turn comes, then what it holds itself is what it may have
        world.settle_due()
        assert world.stored("k").state is State.SUCCEEDED

    def test_an_aborted_refund_of_what_others_took_meanwhile_is_told_the_amount(
        self, world: World
    ) -> None:
        # Given an aborted refund, and nothing left since
        world.processor.fates.append(NotSent())
        world.refund("k")
        world.refund("other")
        # When its key comes again, then its amount is too much
        with pytest.raises(RefundAmountExceededError) as refused:
            world.refund("k")
        assert self.facts(refused.value) == (9999, 9999, 0, 9999)


class TestLink:
    """A record and a charge belong to each other for ever."""

    def test_a_charge_has_one_record(self, world: World) -> None:
        world.refund("k", amount=1)
        world.stripe.add_record(
            FakeRecord("pr_2", "sgd", 9999, 9999, metadata={"hitpay_payment_id": "charge-1"})
        )
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("other", record="pr_2", amount=1)
        assert refused.value.details == {"charge": "charge-1", "linked": "pr_1", "named": "pr_2"}

    def test_what_was_captured_does_not_change(self) -> None:
        # Given a payment that nobody shows, and of which Stripe shows more than it did
        world = World(doors=("ccg",))
        world.pay()
        world.refund("k", amount=1)
        record = world.stripe.books.records["pr_1"]
        record.requested = record.guaranteed = 12_000
        # When another refund is asked for, then it is refused
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("other", amount=1)
        assert refused.value.details == {
            "payment_record": "pr_1",
            "first_seen": 9999,
            "captured_amount": 12_000,
        }

    @pytest.mark.parametrize("verify", VerifyCharge)
    def test_what_stripe_shows_wrongly_for_a_moment_is_kept_by_nobody(
        self, verify: VerifyCharge
    ) -> None:
        # Given a refund that waits for its turn, and a moment in which Stripe shows too much
        world = World(verify_charge=verify)
        world.pay()
        world.refund("waits", amount=1, refund_type=RefundType.SCHEDULED)
        record = world.stripe.books.records["pr_1"]
        record.requested = record.guaranteed = 12_000
        # When another is asked for then, it is refused, since the charge shows another amount
        with pytest.raises(PaymentLinkConflictError):
            world.refund("other", amount=1)
        # And afterwards all is as before
        record.requested = record.guaranteed = 9999
        assert world.refund("later", amount=1).refund.state is State.SUCCEEDED
        assert world.payment().captured == 9999

    def test_what_was_wrong_at_first_is_mended_by_what_the_charge_shows(self) -> None:
        # Given a payment of which Stripe showed too much when its first refund was made
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        record = world.stripe.books.records["pr_1"]
        record.requested = record.guaranteed = 12_000
        world.refund("k", amount=1)
        # When Stripe shows what the charge does, then that is what may be refunded
        record.requested = record.guaranteed = 9999
        assert world.refund("rest").refund.amount == 9998

    def test_the_currency_does_not_change(self) -> None:
        world = World(verify_charge=VerifyCharge.NEVER)
        world.pay()
        world.refund("k", amount=1)
        world.stripe.books.records["pr_1"].currency = "myr"
        with pytest.raises(PaymentLinkConflictError):
            world.refund("other", amount=1)

    def test_a_link_that_another_call_claims_first_is_refused(
        self, world: World, gate: Gate
    ) -> None:
        # Given a record that is linked to another charge just before this call's write
        def claimed(_: Commit) -> None:
            raise ClaimConflictError(RecordClaim("pr_1", CHARGE))

        gate.mishaps.append(claimed)
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("k")
        assert refused.value.details == {"payment_record": "pr_1", "charge": "charge-1"}
        assert len(gate.commits) == 1

    def test_a_refund_stays_on_its_charge(self, world: World) -> None:
        # Given an aborted refund by an intent that then leads to another charge
        world.pay("2")
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        asked: dict[str, Any] = {"record": "pi_1", "reference_type": ReferenceType.PAYMENT_INTENT}
        world.processor.fates.append(NotSent())
        world.refund("k", **asked)
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_2"})
        with pytest.raises(PaymentLinkConflictError) as refused:
            world.refund("k", **asked)
        assert refused.value.details == {"linked": "charge-1", "named": "charge-2"}


class TestTurn:
    """One processor refund at a time on one payment."""

    @pytest.mark.parametrize(
        ("state", "told"), [(State.UNKNOWN, "pending"), (State.REVIEW, "review")]
    )
    def test_who_has_the_slot_is_told_with_a_time(
        self, world: World, state: State, told: str
    ) -> None:
        world.processor.fates.append(RequestLost())
        first = world.refund("k", amount=1).refund
        world.ledger.refunds[first.id] = replace(world.stored("k"), state=state)
        with pytest.raises(PaymentBusyError) as busy:
            world.refund("other", amount=1)
        assert busy.value.details == {"blocking_refund": {"id": first.id, "status": told}}
        assert busy.value.retry_after_s == 2

    def test_a_holder_that_cannot_be_read_is_pending(self, world: World) -> None:
        world.processor.fates.append(RequestLost())
        first = world.refund("k", amount=1).refund
        world.ledger.refunds.pop(first.id)
        with pytest.raises(PaymentBusyError) as busy:
            world.refund("other", amount=1)
        assert busy.value.details == {"blocking_refund": {"id": first.id, "status": "pending"}}

    def test_the_slots_own_refund_is_not_told_to_wait_for_itself(self, world: World) -> None:
        # Given an aborted refund whose slot an older release forgot to free
        world.processor.fates.append(NotSent())
        refund = world.refund("k", amount=1).refund
        world.ledger.payments[CHARGE] = replace(world.payment(), slot=refund.id)
        # When its key comes again, then it goes on
        assert world.refund("k", amount=1).refund.state is State.SUCCEEDED

    def test_a_scheduled_one_queues_up_behind_the_slot(self, world: World) -> None:
        world.processor.fates.append(ExecutedLate(5_000))
        world.refund("k", amount=1)
        answer = world.refund("other", amount=1, refund_type=SCHEDULED)
        assert answer.refund.state is State.REQUESTED

    def test_a_scheduled_one_whose_turn_it_was_waits_when_another_took_the_slot(
        self, world: World
    ) -> None:
        # Given a scheduled refund, and another one that takes the slot just before it is executed
        waiting = world.refund("k", amount=1, refund_type=SCHEDULED).refund
        world.processor.fates.append(RequestLost())
        other = world.refund("other", amount=1).refund
        command = world.command("k", amount=1, refund_type=SCHEDULED)
        located = world.execute.locator.locate(
            payment_named_by(command.request), CHARGE, world.deadline()
        )
        # Then it has to wait
        with pytest.raises(PaymentBusyError) as busy:
            world.execute.reservation.reserve(command, waiting, located, world.deadline())
        assert busy.value.details["blocking_refund"]["id"] == other.id

    def test_at_most_a_hundred_wait(self, world: World) -> None:
        for number in range(100):
            world.refund(f"k{number}", amount=1, refund_type=SCHEDULED)
        with pytest.raises(PaymentBusyError) as busy:
            world.refund("one more", amount=1, refund_type=SCHEDULED)
        assert busy.value.details == {"blocking_refund": None}
        assert busy.value.retry_after_s == 2
        # And an instant one does not wait with them
        assert world.refund("instant", amount=1).refund.state is State.SUCCEEDED


class TestRaces:
    """Somebody else writes between reading and writing."""

    def test_a_lost_race_is_run_again_from_what_is_there_now(
        self, world: World, gate: Gate
    ) -> None:
        gate.mishaps.extend([gate.raced] * 7)
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED
        assert world.payment().held == 2500

    def test_what_another_call_imported_first_does_not_stand_in_the_way(
        self, world: World, gate: Gate
    ) -> None:
        # Given another call that imports the same processor refund just before this one writes
        def imported(_: Commit) -> None:
            raise ClaimConflictError(ProcessorRefundClaim("hitpay", "m1", "rfd_other"))

        gate.mishaps.append(imported)
        # Then this one learns again, and goes on
        assert world.refund("k", amount=2500).refund.state is State.SUCCEEDED
        assert world.payment().held == 2500

    def test_eight_lost_races_mean_that_the_payment_is_busy(self, world: World, gate: Gate) -> None:
        gate.mishaps.extend([gate.raced] * 100)
        with pytest.raises(PaymentBusyError) as busy:
            world.refund("k")
        assert busy.value.details == {"blocking_refund": None}
        assert busy.value.retry_after_s == 2
        assert len(gate.commits) == 8
        assert world.processor.instructions == []

    def test_a_key_that_another_call_took_is_that_calls(self, world: World, gate: Gate) -> None:
        # Given another call with the same key that reserves it just before this one
        other = a_refund()

        def taken(_: Commit) -> None:
            world.ledger.refunds[command.refund_id] = replace(
                other, id=command.refund_id, request=command.request, revision=1
            )

        command = world.command("k")
        gate.mishaps.append(taken)
        located = world.execute.locator.locate(
            payment_named_by(command.request), None, world.deadline()
        )
        # When this one writes, then it is told of the other
        with pytest.raises(TakenByAnotherCallError) as told:
            world.execute.reservation.reserve(command, None, located, world.deadline())
        assert str(told.value) == command.refund_id
        assert told.value.refund == world.stored("k")

    def test_an_aborted_refund_that_another_call_began_again_is_that_calls(
        self, world: World, gate: Gate
    ) -> None:
        # Given an aborted refund, and another call that begins it again just before this one
        world.processor.fates.append(NotSent())
        before = world.refund("k").refund
        gate.mishaps.append(lambda _: begun())

        def begun() -> None:
            world.ledger.refunds[before.id] = replace(
                before, state=State.SUBMITTING, revision=before.revision + 1
            )

        command = world.command("k")
        located = world.execute.locator.locate(
            payment_named_by(command.request), CHARGE, world.deadline()
        )
        # When this one writes, then it is told of the other
        with pytest.raises(TakenByAnotherCallError):
            world.execute.reservation.reserve(command, before, located, world.deadline())

    def test_an_aborted_refund_whose_payment_alone_changed_is_begun(
        self, world: World, gate: Gate
    ) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k")
        gate.mishaps.append(gate.raced)
        assert world.refund("k").refund.state is State.SUCCEEDED


class TestReplyLost:
    """The ledger does not say whether the intent was written."""

    @pytest.mark.parametrize("kind", list(RefundType))
    def test_an_intent_that_was_written_is_known_again_by_its_token(
        self, world: World, gate: Gate, kind: RefundType
    ) -> None:
        gate.mishaps.append(gate.applied)
        answer = world.refund("k", amount=2500, refund_type=kind)
        expected = State.SUCCEEDED if kind is RefundType.INSTANT else State.REQUESTED
        assert answer.refund.state is expected
        assert answer.refund == world.stored("k")
        assert answer.payment == world.payment()
        assert world.payment().held == 2500

    def test_an_intent_that_was_not_written_is_not_known(self, world: World, gate: Gate) -> None:
        gate.mishaps.append(gate.lost)
        with pytest.raises(OutcomeUnknownError):
            world.refund("k")
        assert world.processor.instructions == []

    def test_an_intent_of_another_call_is_not_taken_for_ours(
        self, world: World, gate: Gate
    ) -> None:
        def by_another(commit: Commit) -> None:
            gate.applied(
                replace(
                    commit,
                    refunds=tuple(
                        replace(write, after=replace(write.after, token="another"))
                        for write in commit.refunds
                    ),
                )
            )

        # A bare reservation, since a call would look at the refund once more and find the other's
        command = world.command("k")
        gate.mishaps.append(by_another)
        located = world.execute.locator.locate(
            payment_named_by(command.request), None, world.deadline()
        )
        with pytest.raises(OutcomeUnknownError):
            world.execute.reservation.reserve(command, None, located, world.deadline())

    @pytest.mark.parametrize("state", [State.UNKNOWN, State.SUCCEEDED, State.ABORTED])
    def test_an_intent_that_somebody_has_moved_on_is_not_sent(
        self, world: World, gate: Gate, state: State
    ) -> None:
        def moved_on(commit: Commit) -> None:
            gate.through(commit)
            written = commit.refunds[0].after
            world.ledger.refunds[written.id] = replace(written, state=state, revision=2)
            raise LedgerUnavailableError("no answer")

        gate.mishaps.append(moved_on)
        with pytest.raises(OutcomeUnknownError):
            world.refund("k")
        assert world.processor.instructions == []

    def test_a_refund_whose_payment_is_not_there_is_not_sent(
        self, world: World, gate: Gate
    ) -> None:
        def without_payment(commit: Commit) -> None:
            gate.applied(replace(commit, payments=()))

        gate.mishaps.append(without_payment)
        with pytest.raises(OutcomeUnknownError):
            world.refund("k")

    def test_a_ledger_that_cannot_be_read_either_is_told_to_the_log(
        self, world: World, gate: Gate
    ) -> None:
        def down(*_: object) -> None:
            raise LedgerUnavailableError("no answer")

        command = world.command("k")
        located = world.execute.locator.locate(
            payment_named_by(command.request), None, world.deadline()
        )
        gate.mishaps.append(gate.applied)
        world.ledger.refund = down  # type: ignore[method-assign, assignment]
        with pytest.raises(OutcomeUnknownError):
            world.execute.reservation.reserve(command, None, located, world.deadline())
        assert world.telemetry.notes == [("intent_not_read_back", {"refund_id": command.refund_id})]


def test_the_payment_is_written_over_the_revision_that_was_read(world: World, gate: Gate) -> None:
    world.refund("one", amount=1)
    stored = world.payment()
    gate.commits.clear()
    world.refund("two", amount=2)
    assert gate.commits[0].payments == (
        PaymentWrite(
            stored, replace(stored, held=3, slot=world.stored("two").id, revision=stored.revision)
        ),
    )
