"""Whatever others do, in whatever order: no report ends silently wrong, or can never be closed.

Every interleaving of what may happen to one and to two refunds of a payment is walked, with the
product's rule for every decision. ``python -m tests.model 2 1 1`` walks further.
"""

from typing import Final

import pytest

from refund_bridge.domain.stripe_knows import Standing
from tests.model.planted_rules import BLIND, PLAIN
from tests.model.settings import BEFORE_US, BY_ID, DASHBOARD, LONG, ONE, OURS, TWO
from tests.model.stripe_worker import Rule
from tests.model.stripe_world import Grace, Maker, Moved, Refund, Setting, World
from tests.model.walk import told, walk


def named(setting: Setting) -> str:
    makers = " and ".join(setting.makers)
    return f"{makers} of {setting.amounts} from {setting.captured}, {setting.faults} faults"


@pytest.mark.parametrize(
    "setting",
    [*ONE, *TWO, *(pytest.param(one, marks=pytest.mark.heavy) for one in LONG)],
    ids=named,
)
def test_every_end_is_true_or_rings_and_can_be_closed(setting: Setting) -> None:
    found = walk(setting, Rule())
    assert found.worlds > 100, "nothing was walked"
    assert not found.bad, told(found)


def sent(*, turned: bool = False) -> Refund:
    """A refund of ours whose report was sent, its answer lost."""
    return Refund(
        moved=Moved.FAILED if turned else Moved.YES,
        standing=Standing.DUE,
        sent=True,
        taken_back=turned,
        grace=Grace.OVER,
    )


BOTH_SENT: Final = {
    "Stripe has room for neither": World((sent(), sent()), clean=False),
    "one was taken back": World((sent(turned=True), sent()), clean=False),
    "both were taken back": World((sent(turned=True), sent(turned=True)), clean=False),
}
OF_ONE: Final = Setting((OURS, OURS), (1000, 1000), captured=1000)


@pytest.mark.parametrize("start", BOTH_SENT)
@pytest.mark.parametrize("booked", [0, 1, 2])
def test_reports_that_were_sent_do_not_wait_for_each_other(start: str, booked: int) -> None:
    world = BOTH_SENT[start]
    if booked:
        refunds = list(world.refunds)
        refunds[booked - 1] = refunds[booked - 1]._replace(by_ticket=True, by_hand=True)
        world = world._replace(refunds=tuple(refunds))
    found = walk(OF_ONE, Rule(), world)
    assert not found.bad, told(found)


def test_the_plain_rule_ends_badly_with_a_single_refund() -> None:
    bad = {maker: walk(Setting((maker,), (1000,), 2000), PLAIN).bad for maker in Maker}
    assert bad == {
        OURS: {"silently twice": 11},
        DASHBOARD: {"silently twice": 14, "silently never": 7},
        BEFORE_US: {"silently never": 3},
    }


ONE_OURS: Final = Setting((OURS,), (1000,), captured=2000, faults=1)
OURS_AND_ANOTHER: Final = Setting((OURS, DASHBOARD), (1000, 2000), captured=3000)
TWO_EQUAL: Final = Setting((DASHBOARD, DASHBOARD), (1000, 1000), captured=2000)
PLANTED: Final = {
    "the sums decide what was sent, too": (
        TWO_EQUAL._replace(captured=5000, faults=1),
        "a person is asked for nothing",
    ),
    "nobody is given time to report": (TWO_EQUAL, "a person is asked for nothing"),
    "one read is believed": (
        TWO_EQUAL._replace(amounts=(1000, 2000), captured=3000, faults=1),
        "a person is asked too soon",
    ),
    "a free slot is taken for granted": (OURS_AND_ANOTHER, "a person is asked too soon"),
    "old reports of ours wait for each other": (
        Setting((OURS, OURS), (1000, 2000), captured=3000),
        "waits for ever",
    ),
    # Also where others keep to the processor's ids: there may be no room.
    "every refusal means that Stripe knows": (
        Setting((DASHBOARD, DASHBOARD), (1000, 1000), captured=1000, others_report=BY_ID, turns=1),
        "no command helps",
    ),
    "beliefs are kept": (TWO_EQUAL, "silently never"),
    "nothing rings": (ONE_OURS, "silently twice"),
}


@pytest.mark.parametrize("defect", PLANTED)
def test_the_walk_finds_a_planted_defect(defect: str) -> None:
    setting, bad = PLANTED[defect]
    assert walk(setting, BLIND[defect], until=bad).bad[bad]


def test_the_walk_finds_refused_reports_that_wait_for_each_other() -> None:
    world = BOTH_SENT["one was taken back"]
    ticket = world.refunds[1]._replace(by_ticket=True, by_hand=True)
    start = world._replace(refunds=(world.refunds[0], ticket))
    assert walk(OF_ONE, BLIND["refused ones wait for each other"], start).bad["waits for ever"]
    assert set(BLIND) == {*PLANTED, "refused ones wait for each other"}
