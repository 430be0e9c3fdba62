"""Every world that can be reached, and the bad ends among all of them."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.model.stripe_ends import Bad, at_rest, ends_badly
from tests.model.stripe_operator import OPEN, commands
from tests.model.stripe_worker import Rule, observed, reports
from tests.model.stripe_world import (
    IDLE,
    Grace,
    Setting,
    World,
    instructions,
    moves_of_others,
    plain,
)


@dataclass
class Walk:
    """What was walked.

    Attributes:
        bad: every kind of bad end: how often, and one way to it.
    """

    worlds: int = 0
    ends: int = 0
    bad: Counter[str] = field(default_factory=Counter)
    ways: dict[str, tuple[list[str], World]] = field(default_factory=dict)


def walk(
    setting: Setting, rule: Rule, start: World | None = None, *, until: str | None = None
) -> Walk:
    """Walk every order of every move, and end each world that was reached.

    ``until``: the bad end to stop at; without it, all are found.
    """
    found = Walk()
    start = start or setting.start()
    came: dict[World, tuple[World, str] | None] = {start: None}
    ended: dict[World, tuple[Bad, ...]] = {}
    front = [start]
    while front:
        following: list[World] = []
        for world in front:
            ends = () if _goes_on(world) else _end(setting, world, rule, ended)
            for bad in (*_too_soon(world), *ends):
                found.bad[bad.what] += 1
                if bad.what not in found.ways:
                    found.ways[bad.what] = (_way(came, world), bad.end)
            if until in found.bad:
                return found
            for what, new in moves(setting, world, rule):
                after = plain(new)
                if after not in came:
                    came[after] = (world, what)
                    following.append(after)
        front = following
    found.worlds, found.ends = len(came), len(ended)
    return found


def told(found: Walk) -> str:
    """The bad ends, each with one way to it, for whoever must understand them."""
    lines = [f"{found.worlds} worlds, {found.ends} ends, bad: {dict(found.bad)}"]
    for what, (way, end) in found.ways.items():
        lines += ["", what, *(f"    {step}" for step in way), f"    => {end}"]
    return "\n".join(lines)


def moves(setting: Setting, world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Everything that may happen next."""
    yield from moves_of_others(setting, world)
    yield from instructions(setting, world)
    for number in range(len(world.refunds)):
        after = observed(setting, world, number, rule)
        if after != world:
            yield f"the ledger sees {number}", after
    yield from reports(setting, world, rule)
    if world.commands and world.step == IDLE:
        for what, after in commands(setting, world, rule, None):
            yield what, after._replace(commands=world.commands - 1, clean=False)


def _too_soon(world: World) -> Iterator[Bad]:
    """Where nothing happened that needs a person, none is asked, not even for a while."""
    if world.clean and any(refund.standing in OPEN for refund in world.refunds):
        yield Bad("a person is asked too soon", world)


def _goes_on(world: World) -> bool:
    """Whether a move leads to a world that ends alike: to finish the step, or a grace's end."""
    return world.step != IDLE or any(refund.grace is Grace.NOW for refund in world.refunds)


def _end(
    setting: Setting, world: World, rule: Rule, ended: dict[World, tuple[Bad, ...]]
) -> tuple[Bad, ...]:
    """Many worlds end alike: each end is judged once."""
    alike = at_rest(setting, world, rule)
    if alike not in ended:
        ended[alike] = tuple(ends_badly(setting, alike, rule))
    return ended[alike]


def _way(came: dict[World, tuple[World, str] | None], world: World) -> list[str]:
    way: list[str] = []
    while (before := came[world]) is not None:
        world, what = before
        way.append(what)
    return way[::-1]
