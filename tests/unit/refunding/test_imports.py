"""What others made becomes refunds here, each once, and each of its own."""

from itertools import count

import pytest

from refund_bridge.domain.state_machine import State
from refund_bridge.ports.ledger import Commit, LedgerUnavailableError
from refund_bridge.refunding.learn_from_charge import IMPORTS_PER_COMMIT
from refund_bridge.settling.settling import AfterHold
from refundctl.deciding.resolve import ItFailed, ResolveRefund
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import HOLD_MS, STEP_MS, World
from tests.unit.refunding.paid_world import DAY, HOUR, observe, paid_world, resolve_of


@pytest.fixture
def world() -> World:
    return paid_world("hitpay")


@pytest.fixture
def resolve(world: World) -> ResolveRefund:
    return resolve_of(world)


class TestImports:
    """Several at once."""

    def test_two_equal_ones_contradict_one_failed_refund_each(
        self, world: World, resolve: ResolveRefund
    ) -> None:
        # Given two refunds of one amount that a person called failed without evidence
        failed = ItFailed("not in its dashboard", despite_evidence=True)
        for key in ("one", "two"):
            world.processor.fates.append(RequestLost())
            refund = world.refund(key, amount=1000).refund
            world.live_for(27 * HOUR, every_ms=5 * STEP_MS)
            agreed = resolve.weigh(refund.id, failed, world.deadline())
            resolve.carry_out(refund.id, failed, agreed, world.deadline())
        # When the payment lists two of that amount
        world.in_dashboard(1000)
        world.in_dashboard(1000)
        observe(world)
        # Then each of them may be one of the two
        contradicted = {one.contradicts for one in world.imported()}
        assert contradicted == {world.stored("one").id, world.stored("two").id}

    def test_a_crash_between_two_batches_of_them_leaves_none_untold(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Given more dashboard refunds than one write holds
        world.refund("first", amount=1)
        world.live_for(HOUR)
        made = IMPORTS_PER_COMMIT + 3
        for _ in range(made):
            world.in_dashboard(10)
        commit, commits = world.ledger.commit, count(1)

        def dies(some: Commit) -> None:
            if next(commits) == 2:
                raise LedgerUnavailableError("the function died")
            commit(some)

        # When the function dies between the two writes
        monkeypatch.setattr(world.ledger, "commit", dies)
        with pytest.raises(LedgerUnavailableError):
            observe(world)
        assert 0 < len(world.imported()) < made
        # Then the next look imports the rest, and Stripe hears of all
        observe(world)
        world.live_for(3 * HOUR)
        assert len(world.imported()) == made
        assert world.at_stripe == world.at_processor == 1 + 10 * made


class TestSeenMeanwhile:
    """Nothing is imported while a refund's outcome is not known."""

    @pytest.mark.parametrize("door", ["hitpay", "hedge"])
    def test_a_refund_of_others_is_told_when_ours_has_failed(self, door: str) -> None:
        # Given a refund whose instruction was lost, and a dashboard refund of another amount beside
        # it
        world = World(doors=(door,), after_hold=AfterHold.FAILED)
        world.settle_run(world.deadline())
        world.clock.advance(DAY)
        world.pay()
        world.processor.fates.append(RequestLost())
        world.refund("ours", amount=2500)
        world.in_dashboard(1000)
        # When it has failed, since nothing of its amount was found for the whole hold
        world.live_for(HOLD_MS + 4 * HOUR, every_ms=5 * STEP_MS)
        assert world.stored("ours").state is State.FAILED
        # Then Stripe hears of the other though no webhook came and nobody asked again
        assert [one.amount for one in world.imported()] == [1000]
        assert world.at_stripe == 1000
