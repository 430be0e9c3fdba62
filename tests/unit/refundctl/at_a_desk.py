"""The whole program in a process of its own, in front of a world in memory.

`python -m tests.unit.refundctl.at_a_desk ARGUMENTS…` is `refundctl ARGUMENTS…` there: the parser,
the commands and what they write are the program's own, and so are its streams and its end. The
world has a payment with two refunds: one that was told to Stripe, and one that waits for a person.
"""

import os
import sys
from typing import Any, Final

import pytest

from refundctl.command import main
from tests.fakes.processor_fates import ReplyLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator

# In JSON far more than a pipe holds.
MANY: Final = 400


def a_day(refunds: int) -> World:
    """A world in which so many refunds were made, and then one that nobody can tell of."""
    world = World()
    world.pay()
    for number in range(refunds):
        world.report(world.refund(f"order-{number}", amount=1).refund.id)
    world.processor.fates.append(ReplyLost())
    world.refund("lost", amount=1)
    world.processor.refund_in_dashboard("charge-1", 1)
    world.settle_due()
    return world


def run(arguments: list[str]) -> int:
    """Run one command there."""
    nobody: Any = pytest.CaptureFixture
    operator = Operator(a_day(int(os.environ.get("REFUNDS", "1"))), nobody)
    return main(arguments, operator._find, operator._build, operator._reach, operator.sleep)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
