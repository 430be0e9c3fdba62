"""How a world ends once nobody else does anything more, and what must never be found there."""

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from refund_bridge.domain.stripe_knows import Alarm, Standing
from tests.model.stripe_operator import COUNTED, OPEN, commands
from tests.model.stripe_worker import Rule, reports, settled_unknown, u_of
from tests.model.stripe_world import (
    IDLE,
    Grace,
    Maker,
    Moved,
    Refund,
    Setting,
    Step,
    World,
    put,
    slot_taken,
)

ROUNDS = 30  # more than any end needs: beyond that it never ends


class Bad(NamedTuple):
    """What is wrong with an end."""

    what: str
    end: World


def ends_badly(setting: Setting, world: World, rule: Rule) -> Iterator[Bad]:
    """Everything that is wrong with how this world ends."""
    end = settled(setting, world, rule)
    if end is None:
        yield Bad("never at rest", world)
        return
    alarm = alarm_of(setting, end, rule)
    needs_person = alarm is not None or _is_open(end)
    if not needs_person:
        yield from _untrue(setting, end, "silently")
    elif world.clean:
        yield Bad("a person is asked for nothing", end)
    if needs_person:
        yield from _closed_badly(setting, end, rule)


def settled(setting: Setting, world: World, rule: Rule) -> World | None:
    """No more faults: time passes, the worker works; ``None``: it never comes to rest."""
    world = at_rest(setting, world, rule)
    for _ in range(ROUNDS):
        before = world
        for number in range(len(world.refunds)):
            if world.refunds[number].standing is Standing.DUE:
                world = _worked(setting, world, rule, number)
        world = _finished(setting, world._replace(step=_look(setting, world)), rule)
        world = world._replace(shown_before=0)
        if world == before:
            return world
    return None


def at_rest(setting: Setting, world: World, rule: Rule) -> World:
    """The step under way is done without a fault, time has passed, and the charge was read."""
    world = world._replace(faults=0, commands=0, shown_before=0)
    world = _finished(setting, world, rule)
    world = settled_unknown(setting, _time_passed(world), rule)
    return _time_passed(world)._replace(shown_before=0)


def _look(setting: Setting, world: World) -> Step:
    return Step("look", -1, setting.shown(world))


def _worked(setting: Setting, world: World, rule: Rule, number: int) -> World:
    """The worker takes one report to where it rests."""
    for what, after in reports(setting, world, rule):
        if what in (f"report {number} at once", f"read Stripe for {number}"):
            return _finished(setting, after, rule)
    return world


def _finished(setting: Setting, world: World, rule: Rule) -> World:
    while world.step != IDLE:
        _, world = next(reports(setting, world, rule))
    return world


def _time_passed(world: World) -> World:
    for number, refund in enumerate(world.refunds):
        world = put(world, number, _later(refund))
    return world


def _later(refund: Refund) -> Refund:
    if refund.unbound and refund.moved is Moved.NOT:
        # Nothing came in the late-arrival window, and a person closed the review.
        refund = refund._replace(unbound=False, standing=Standing.CLOSED, waived=True)
    if refund.moved is Moved.PENDING:
        refund = refund._replace(moved=Moved.YES)
    if refund.grace is Grace.NOW:
        refund = refund._replace(grace=Grace.OVER)
    if refund.on_its_way or refund.turns:
        refund = refund._replace(on_its_way=False, turns=0)
    return refund


def alarm_of(setting: Setting, world: World, rule: Rule) -> Alarm | None:
    """What the second look of two says."""
    u = u_of(setting, world, setting.shown(world))
    lines = setting.lines(world)
    return rule.look(lines, u, seen_before=u, slot_taken=slot_taken(world), all_listed=True).alarm


def _is_open(world: World) -> bool:
    return any(refund.standing in (*OPEN, Standing.DUE) for refund in world.refunds)


def _closed_badly(setting: Setting, start: World, rule: Rule) -> Iterator[Bad]:
    """No command may end in an untruth, and some commands must end it."""
    tried, left, closed = {start}, [start], False
    while left:
        world = left.pop()
        alarm = alarm_of(setting, world, rule)
        if alarm is None and not _is_open(world):
            closed = True
            yield from _untrue(setting, world, "after the operator")
            continue
        for _, after in commands(setting, world, rule, alarm):
            end = settled(setting, after, rule)
            if end is None:
                yield Bad("a command never comes to rest", world)
            elif end not in tried:
                tried.add(end)
                left.append(end)
    if not closed:
        yield Bad("no command helps" if _asks(setting, start, rule) else "waits for ever", start)


def _asks(setting: Setting, world: World, rule: Rule) -> bool:
    """Whether something rings that names a command."""
    failed = any(refund.standing in OPEN for refund in world.refunds)
    return failed or alarm_of(setting, world, rule) is not None


def _untrue(setting: Setting, world: World, how: str) -> Iterator[Bad]:
    """Stripe's refunds against the true ones, as amounts, but for what somebody answered for."""
    true: Counter[int] = Counter()
    shown: Counter[int] = Counter()
    more, fewer = world.accepted_excess, 0
    for refund, amount, maker in zip(world.refunds, setting.amounts, setting.makers, strict=True):
        true[amount] += refund.moved is Moved.YES
        shown[amount] += refund.by_reference + refund.by_ticket
        if refund.standing in COUNTED and refund.taken_back:
            more += amount  # "refund reversed" rang for it
        before_us = maker is Maker.BEFORE_US and refund.standing is Standing.BEFORE_ADOPTION
        if refund.moved is Moved.YES and (before_us or refund.waived):
            fewer += amount
    if (shown - true).total() and _sum(shown - true) > more:
        yield Bad(f"{how} twice", world)
    if _sum(true - shown) > fewer:
        yield Bad(f"{how} never", world)


def _sum(amounts: Counter[int]) -> int:
    return sum(amount * times for amount, times in amounts.items())
