"""The whole program in a process of its own, in front of a world in memory.

`python -m tests.unit.refundctl.at_a_desk ARGUMENTS…` is `refundctl ARGUMENTS…` there: the parser,
the commands and what they write are the program's own, and so are its streams and its end. The
world has a payment with two refunds: one that was told to Stripe, and one that waits for a person.
`list THEN review` runs the second command after the first, if that ended well.
"""

import os
import sys
from itertools import groupby
from typing import Any, Final

from refundctl.command import main
from tests.fakes.processor_fates import ReplyLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator

# In JSON far more than a pipe holds.
MANY: Final = 400
NEXT: Final = "THEN"


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
    """Run the commands there, with a line between what two of them write."""
    nobody: Any = None
    operator = Operator(a_day(int(os.environ.get("REFUNDS", "1"))), nobody)
    ended = 0
    for is_between, words in groupby(arguments, NEXT.__eq__):
        if ended != 0:
            break
        if is_between:
            sys.stdout.write(f"{NEXT}\n")
        else:
            ended = main(
                list(words), operator._find, operator._build, operator._reach, operator.sleep
            )
    return ended


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
