"""The use cases of `refund_api`, on a world in memory."""

from refund_bridge.bootstrap.refund_api import RefundApi
from refund_bridge.http.callers import Callers
from refund_bridge.refunding.in_flight import ExecuteOrAwait
from refund_bridge.refunding.withdraw import WithdrawRefund
from tests.fakes.payouts import payout_rules
from tests.fakes.world import STAGE, World


def api_on(world: World, callers: Callers, *, account: str = "") -> RefundApi:
    """The production use cases of a world, for these callers; waiting moves the world's clock."""
    return RefundApi(
        stage=STAGE,
        stripe_account_id=account,
        execute=execute_or_await(world),
        withdraw=lambda actor: WithdrawRefund(
            recorder=world.execute.recorder,
            clock=world.clock,
            actor=actor,
        ),
        read_refund=world.read_refund,
        list_refunds=world.list_refunds,
        read_payment=world.read_payment,
        callers=callers,
        payouts=payout_rules(),
        clock=world.clock,
        new_token=world.new_token,
    )


def execute_or_await(world: World) -> ExecuteOrAwait:
    """The use case that waits for a result, by the world's clock."""
    return ExecuteOrAwait(
        execute=world.execute,
        clock=world.clock,
        pause=lambda seconds: world.clock.advance(round(seconds * 1000)),
    )
