"""The same key comes again, while its call runs and after it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.domain.errors import (
    IdempotencyKeyReusedError,
    KeyInUseError,
    OutcomeUnknownError,
    StripeUnavailableError,
)
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.refund_request import ReferenceType, RefundType, Source
from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Commit, Known, LedgerUnavailableError
from refund_bridge.ports.processor import ProviderUnavailableError
from refund_bridge.refunding.execute import require_same_request
from tests.fakes.processor_fates import Answered, NotSent
from tests.fakes.world import LEASE_MS, World


def test_a_known_key_is_answered_from_the_ledger_with_both_providers_down(world: World) -> None:
    first = world.refund("k")
    world.processor.is_down = world.stripe.is_down = True
    again = world.refund("k")
    assert again.replayed
    assert (again.refund, again.payment) == (first.refund, world.payment())
    assert len(world.processor.instructions) == 1


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 1},
        {"amount": 2500, "reason": "duplicate"},
        {"amount": 2500, "metadata": {"a": "b"}},
    ],
)
def test_a_key_that_comes_with_another_request_is_refused(
    world: World, other: dict[str, Any]
) -> None:
    world.refund("k", amount=2500)
    with pytest.raises(IdempotencyKeyReusedError):
        world.refund("k", **other)
    assert len(world.processor.instructions) == 1


@pytest.mark.parametrize("fate", [NotSent(), Answered(429), Answered(401), Answered(404)])
def test_what_was_certainly_not_executed_may_be_tried_again_with_the_same_key(
    world: World, fate: object
) -> None:
    # Given a refund that certainly was not executed
    world.processor.fates.append(fate)  # type: ignore[arg-type]
    first = world.refund("k", amount=2500)
    assert first.refund.state is State.ABORTED
    assert (world.payment().held, world.payment().slot) == (0, None)
    # When the same key comes again
    again = world.refund("k", amount=2500)
    # Then it is executed, once, as a second attempt
    assert (again.refund.state, again.refund.attempt) == (State.SUCCEEDED, 2)
    assert not again.replayed
    assert again.refund.failure is None
    assert world.payment().held == 2500
    assert len(world.processor.moved_by(first.refund.id)) == 1


class TestAllowed:
    """Whoever calls says whether this key may send at all."""

    class NotAllowedError(Exception):
        """It may not."""

    def forbid(self) -> None:
        raise self.NotAllowedError

    def test_what_may_not_be_sent_leaves_no_trace(self, world: World) -> None:
        with pytest.raises(self.NotAllowedError):
            world.execute(world.command("k", amount=2500), world.deadline(), self.forbid)
        assert world.ledger.refunds == {}
        assert world.processor.instructions == []

    def test_nor_is_it_sent_again_if_it_was_certainly_not_executed(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        aborted = world.refund("k", amount=2500).refund
        with pytest.raises(self.NotAllowedError):
            world.execute(world.command("k", amount=2500), world.deadline(), self.forbid)
        assert world.stored("k") == aborted
        assert len(world.processor.instructions) == 1

    def test_what_was_sent_may_always_be_asked_for(self, world: World) -> None:
        refund = world.refund("k", amount=2500).refund
        answer = world.execute(world.command("k", amount=2500), world.deadline(), self.forbid)
        assert (answer.refund, answer.replayed) == (refund, True)


class TestKey:
    """One key is one request, whoever is first."""

    def test_a_call_that_lost_the_race_for_its_key_is_told_what_the_other_did(
        self, world: World
    ) -> None:
        # Given another call with the same key that does it all just before this one writes
        commit = world.ledger.commit

        def beaten(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            world.refund("k", amount=2500)
            commit(written)

        world.ledger.commit = beaten  # type: ignore[method-assign, assignment]
        # Then this one finds what the other did
        answer = world.refund("k", amount=2500)
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)
        assert len(world.processor.instructions) == 1

    def test_another_request_that_lost_the_race_for_the_key_is_refused(self, world: World) -> None:
        commit = world.ledger.commit

        def beaten(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            world.refund("k", amount=1)
            commit(written)

        world.ledger.commit = beaten  # type: ignore[method-assign, assignment]
        with pytest.raises(IdempotencyKeyReusedError) as reused:
            world.refund("k", amount=2)
        assert reused.value.details == {"refund": world.stored("k").id}

    def test_an_aborted_refund_with_another_request_is_refused(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k", amount=1)
        with pytest.raises(IdempotencyKeyReusedError):
            world.refund("k", amount=2)
        assert len(world.processor.instructions) == 1

    @pytest.mark.parametrize(
        ("first", "again", "is_same"),
        [
            (Source.API, Source.API, False),
            (Source.API, Source.EVENT, True),
            (Source.EVENT, Source.API, True),
            (Source.EVENT, Source.EVENT, True),
        ],
    )
    def test_another_refund_type_is_another_request_unless_one_of_the_two_came_by_an_event(
        self, world: World, first: Source, again: Source, is_same: bool
    ) -> None:
        refund = replace(world.refund("k", amount=2500).refund, source=first)
        asked = world.command("k", amount=2500, refund_type=RefundType.SCHEDULED)
        if is_same:
            require_same_request(refund, replace(asked, source=again))
        else:
            with pytest.raises(IdempotencyKeyReusedError):
                require_same_request(refund, replace(asked, source=again))
        # And another amount always is
        other = world.command("k", amount=2501, refund_type=RefundType.SCHEDULED)
        with pytest.raises(IdempotencyKeyReusedError):
            require_same_request(refund, replace(other, source=again))

    @pytest.mark.parametrize(
        ("kind", "record"),
        [(ReferenceType.PAYMENT_RECORD, "pr_1"), (ReferenceType.PAYMENT_INTENT, None)],
    )
    def test_only_a_records_own_id_is_looked_up_as_one(
        self, world: World, kind: ReferenceType, record: str | None
    ) -> None:
        asked: list[tuple[str, str | None]] = []
        look_up = world.ledger.look_up

        def watched(refund_id: str, payment_record: str | None) -> Known:
            asked.append((refund_id, payment_record))
            return look_up(refund_id, payment_record)

        world.ledger.look_up = watched  # type: ignore[method-assign]
        world.stripe.add_reference("pi_1", {"stripe_payment_record_id": "pr_1"})
        name = "pr_1" if record else "pi_1"
        refund = world.refund("k", record=name, reference_type=kind).refund
        assert asked == [(refund.id, record)]


class TestKeyInUse:
    """The same key comes while its call may still be sending."""

    def sending(self, world: World) -> Refund:
        class Killed(BaseException):
            pass

        def killed(_: object) -> NotSent:
            raise Killed

        world.processor.decide = killed
        with pytest.raises(Killed):
            world.refund("k")
        return world.stored("k")

    def test_it_is_told_to_come_again_in_two_seconds(self, world: World) -> None:
        refund = self.sending(world)
        with pytest.raises(KeyInUseError) as in_use:
            world.refund("k")
        assert in_use.value.details == {"outcome": "unknown", "refund": refund.id}
        assert in_use.value.retry_after_s == 2

    def test_until_the_lease_ends_and_no_longer(self, world: World) -> None:
        self.sending(world)
        world.clock.advance(LEASE_MS - 1)
        with pytest.raises(KeyInUseError):
            world.refund("k")
        world.clock.advance(1)
        assert world.refund("k").refund.state is State.SUBMITTING

    def test_what_is_not_being_sent_is_not_in_use_whatever_lease_it_has(self, world: World) -> None:
        # Given a refund that an older release left with the lease of its attempt
        refund = world.refund("k").refund
        lease_until_ms = world.clock.now_ms() + LEASE_MS
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=lease_until_ms)
        assert world.refund("k").replayed

    def test_a_call_without_a_lease_is_not_in_use(self, world: World) -> None:
        refund = self.sending(world)
        world.ledger.refunds[refund.id] = replace(refund, lease_until_ms=None)
        assert world.refund("k").replayed


class TestTakenMeanwhile:
    """An error promises that nothing moved under the key; so it is made sure of."""

    def fails_after(self, world: World, happens: Callable[[], object]) -> None:
        """Stripe is asked, that happens, and Stripe gives no answer."""
        record = world.stripe.payment_record

        def read(*_: object) -> object:
            world.stripe.payment_record = record  # type: ignore[method-assign]
            happens()
            raise ProviderUnavailableError("no answer")

        world.stripe.payment_record = read  # type: ignore[method-assign, assignment]

    def test_another_call_that_executed_it_is_found(self, world: World) -> None:
        self.fails_after(world, lambda: world.refund("k"))
        answer = world.refund("k")
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)

    def test_another_call_that_began_an_aborted_one_again_is_found(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k")
        self.fails_after(world, lambda: world.refund("k"))
        answer = world.refund("k")
        assert (answer.replayed, answer.refund.state) == (True, State.SUCCEEDED)

    def test_without_another_call_the_error_is_told(self, world: World) -> None:
        self.fails_after(world, lambda: None)
        with pytest.raises(StripeUnavailableError):
            world.refund("k")

    def test_an_aborted_refund_that_nobody_touched_gets_the_error(self, world: World) -> None:
        world.processor.fates.append(NotSent())
        world.refund("k")
        self.fails_after(world, lambda: None)
        with pytest.raises(StripeUnavailableError):
            world.refund("k")

    def test_an_intent_that_may_have_been_written_is_not_called_certain(self, world: World) -> None:
        # Given an intent whose write gets no answer, and which another process then moves on
        commit = world.ledger.commit

        def unclear(written: Commit) -> None:
            world.ledger.commit = commit  # type: ignore[method-assign]
            commit(written)
            refund = written.refunds[0].after
            world.ledger.refunds[refund.id] = replace(refund, state=State.UNKNOWN, revision=2)
            raise LedgerUnavailableError("no answer")

        world.ledger.commit = unclear  # type: ignore[method-assign, assignment]
        # Then the caller is told that the outcome is not known
        with pytest.raises(OutcomeUnknownError):
            world.refund("k")


def test_what_an_aborted_refund_forgot_of_its_request_is_there_again_when_its_key_comes_again(
    world: World,
) -> None:
    # Given an aborted refund of whose reason only a digest is kept
    world.processor.fates.append(NotSent())
    asked: dict[str, Any] = {"amount": 2500, "reason": "duplicate"}
    first = world.refund("k", **asked).refund
    forgot = first.request.without(("reason",), first.token)
    assert forgot.reason is None
    world.ledger.refunds[first.id] = replace(first, request=forgot)
    # When the same key comes again, then the attempt is made with the whole request
    again = world.refund("k", **asked).refund
    assert (again.state, again.request) == (State.SUCCEEDED, first.request)
