"""What is walked: who made the refunds of a payment, how much they are, and what may go wrong."""

from collections.abc import Iterator
from typing import Final

from refund_bridge.domain.stripe_knows import OthersReport
from tests.model.stripe_world import Maker, Setting

OURS, DASHBOARD, BEFORE_US = Maker.OURS, Maker.DASHBOARD, Maker.BEFORE_US
BY_ID: Final = OthersReport.BY_PROCESSOR_ID

ONE: Final = [
    Setting((maker,), (1000,), captured=2000, faults=2, commands=1, turns=1) for maker in Maker
]

# Small enough for every run: one fault in most.
TWO: Final = [
    Setting((OURS, DASHBOARD), (1000, 1000), captured=2000, faults=1),
    Setting((DASHBOARD, OURS), (1000, 2000), captured=5000, commands=1),
    Setting((DASHBOARD, DASHBOARD), (1000, 1000), captured=5000, faults=1, commands=1),
    Setting((DASHBOARD, DASHBOARD), (1000, 2000), captured=3000, commands=1),
    Setting((BEFORE_US, OURS), (1000, 1000), captured=2000, faults=1, commands=1),
    Setting((BEFORE_US, DASHBOARD), (1000, 1000), captured=5000, faults=1, commands=1),
    Setting((OURS, DASHBOARD), (1000, 2000), captured=3000, others_report=BY_ID, faults=1),
]

# Longer; where a processor changes its mind, once.
LONG: Final = [
    Setting((OURS, OURS), (1000, 2000), captured=3000, faults=1),
    Setting((DASHBOARD, DASHBOARD), (1000, 1000), captured=1000, turns=1),
    Setting((OURS, DASHBOARD), (1000, 1000), captured=2000, turns=1),
]


def every(faults: int, commands: int, turns: int) -> Iterator[Setting]:
    """All pairs of makers, amounts and captured sums, for a long walk."""
    pairs = [
        (OURS, OURS),
        (OURS, DASHBOARD),
        (DASHBOARD, OURS),
        (DASHBOARD, DASHBOARD),
        (BEFORE_US, OURS),
        (BEFORE_US, DASHBOARD),
    ]
    for makers in pairs:
        for amounts in ((1000, 1000), (1000, 2000), (2000, 1000)):
            for captured in (max(amounts), sum(amounts), 5000):
                for others_report in OthersReport:
                    yield Setting(makers, amounts, captured, others_report, faults, commands, turns)
