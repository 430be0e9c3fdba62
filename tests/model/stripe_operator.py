"""An honest operator: sees both dashboards, and gives a command where something is open or rings.

Nothing is needed where Stripe shows less than is reported: beliefs are owed again by themselves.
"""

from collections.abc import Iterator

from refund_bridge.domain.stripe_knows import Alarm, Standing, Told, excess_to_accept
from tests.model.stripe_worker import Rule, owed, u_of
from tests.model.stripe_world import IDLE, Moved, Setting, World, put, slot_taken

OPEN = (Standing.UNDECIDED, Standing.FAILED)
COUNTED = (Standing.REPORTED, Standing.BELIEVED)


def commands(
    setting: Setting, world: World, rule: Rule, alarm: Alarm | None
) -> Iterator[tuple[str, World]]:
    """What an honest operator may do about what is open or rings."""
    if world.step != IDLE:
        return
    for number, refund in enumerate(world.refunds):
        if refund.standing in OPEN:
            yield from _closing(setting, world, number, rule)
    if alarm is Alarm.STRIPE_HIGHER:
        u = u_of(setting, world, setting.shown(world))
        excess = excess_to_accept(setting.lines(world), u, slot_taken=slot_taken(world))
        if excess:
            more = world.accepted_excess + excess
            yield "accept the excess", world._replace(accepted_excess=more)


def _closing(
    setting: Setting, world: World, number: int, rule: Rule
) -> Iterator[tuple[str, World]]:
    refund, shown = world.refunds[number], setting.shown(world)
    waived = put(world, number, refund._replace(standing=Standing.CLOSED, waived=True))
    if _is_shown(setting, world, number):
        lines = setting.lines(world)
        told = rule.told_by_person(str(number), lines, u_of(setting, world, shown))
        if isinstance(told, Told):
            certain = put(world, number, refund._replace(standing=Standing.REPORTED))
            yield f"{number} is told", owed(certain, told.owe)
            return
        yield f"{number} is waived, for Stripe shows as much", waived
    room = shown + setting.amounts[number] <= setting.captured
    if refund.moved is not Moved.YES or refund.taken_back:
        yield f"{number} is waived, for it was taken back", waived
    elif room or refund.by_reference:
        yield f"{number} is owed", _owed(world, number)
    else:
        yield f"{number} is waived, for there is no room", waived


def _owed(world: World, number: int) -> World:
    refund = world.refunds[number]
    return put(world, number, refund._replace(standing=Standing.DUE, forced=True))


def _is_shown(setting: Setting, world: World, number: int) -> bool:
    """Whether Stripe's dashboard shows it: its reference, or a ticket that nothing else has."""
    refund, amount = world.refunds[number], setting.amounts[number]
    if refund.by_reference:
        return True
    alike = [
        other
        for other, of in zip(world.refunds, setting.amounts, strict=True)
        if of == amount and other is not refund
    ]
    tickets = refund.by_ticket + sum(other.by_ticket for other in alike)
    taken = sum(other.standing in COUNTED and not other.by_reference for other in alike)
    return tickets > taken
