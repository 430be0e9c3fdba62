"""A small world around one Payment Record: what really moved, and what Stripe really shows.

Each of its refunds may be ours or somebody else's. Everything that others do to it is a move; the
walk takes every move in every order.
"""

from collections.abc import Iterator
from enum import StrEnum
from functools import cache
from typing import NamedTuple

from refund_bridge.domain.stripe_knows import Line, OthersReport, Standing


class Word(StrEnum):
    """Hashed as the string that it is: worlds are hashed a million times."""

    __hash__ = str.__hash__


class Maker(Word):
    """Who made a refund."""

    OURS = "ours"
    DASHBOARD = "dashboard"
    BEFORE_US = "before us"  # in the dashboard, before this stage began to look


class Moved(Word):
    """What the processor shows of a refund."""

    NOT = "not"
    PENDING = "pending"
    YES = "yes"
    FAILED = "failed"


class Grace(Word):
    """Whether whoever made a refund is given time to report it."""

    AHEAD = "ahead"
    NOW = "now"
    OVER = "over"


class Refund(NamedTuple):
    """One refund: at the processor, in the ledger and at Stripe."""

    moved: Moved = Moved.NOT
    standing: Standing | None = None  # None: the ledger does not know it
    unbound: bool = False  # ours, its answer lost: it holds the payment's slot
    sent: bool = False
    forced: bool = False
    taken_back: bool = False
    grace: Grace = Grace.AHEAD
    waived: bool = False
    by_reference: bool = False  # Stripe shows it under its reference, whoever told it
    by_ticket: bool = False  # Stripe shows it under somebody's own reference
    by_hand: bool = False  # a colleague has reported it: each is reported by hand once
    on_its_way: bool = False  # our call may be booked later still
    turns: int = 0  # how often the processor may still change its mind about it


class Step(NamedTuple):
    """Where the worker is: it holds the record's lease unless it is idle."""

    name: str = "idle"
    refund: int = -1
    shown: int = 0  # what Stripe showed when the worker read it
    in_grace: tuple[bool, ...] = ()  # whose grace was not over just before it read that


IDLE = Step()


class World(NamedTuple):
    """Everything."""

    refunds: tuple[Refund, ...]
    step: Step = IDLE
    seen: int | None = None  # U as read the last time
    shown_before: int = 0  # what a stale read of the record shows
    accepted_excess: int = 0
    faults: int = 0  # how many faults may still happen
    commands: int = 0  # how many commands the operator may still give meanwhile
    clean: bool = True  # nothing happened so far that may need a person


class Setting(NamedTuple):
    """What is the same all through one walk; amounts in minor units."""

    makers: tuple[Maker, ...]
    amounts: tuple[int, ...]
    captured: int
    others_report: OthersReport = OthersReport.ANYHOW
    faults: int = 0
    commands: int = 0
    turns: int = 0

    def start(self) -> World:
        """Nothing happened yet, except what was before us."""
        refunds = tuple(
            Refund(turns=self.turns, moved=Moved.YES if maker is Maker.BEFORE_US else Moved.NOT)
            for maker in self.makers
        )
        return World(refunds, faults=self.faults, commands=self.commands)

    def shown(self, world: World) -> int:
        """Stripe's sum."""
        return sum(
            amount * (refund.by_reference + refund.by_ticket)
            for amount, refund in zip(self.amounts, world.refunds, strict=True)
        )

    def lines(self, world: World) -> tuple[Line, ...]:
        """What the ledger knows, as the rule is told it."""
        # What is new since the record was read is in its grace, whatever the time is now.
        were = world.step.in_grace or (False,) * len(self.makers)
        return tuple(
            _line(number, self.makers[number], self.amounts[number], refund, was)
            for number, (refund, was) in enumerate(zip(world.refunds, were, strict=True))
            if refund.standing is not None
        )


@cache
def _line(number: int, maker: Maker, amount: int, refund: Refund, was_in_grace: bool) -> Line:
    assert refund.standing is not None
    return Line(
        refund_id=str(number),
        amount=amount,
        standing=refund.standing,
        sent=refund.sent,
        forced=refund.forced,
        in_grace=was_in_grace or refund.grace is Grace.NOW,
        ours=maker is Maker.OURS,
        taken_back=refund.taken_back,
        made_at_ms=number,
    )


def put(world: World, number: int, refund: Refund) -> World:
    """The world with one refund changed."""
    before = world.refunds
    if refund is before[number]:
        return world
    return world._replace(refunds=(*before[:number], refund, *before[number + 1 :]))


def plain(world: World) -> World:
    """The same world without what makes no difference any more."""
    if not world.faults and world.shown_before:
        world = world._replace(shown_before=0)
    for number, refund in enumerate(world.refunds):
        if refund.grace is Grace.NOW and (refund.sent or refund.standing in _GRACE_IS_NOTHING):
            world = put(world, number, refund._replace(grace=Grace.OVER))
    return world


_GRACE_IS_NOTHING = (Standing.REPORTED, Standing.BELIEVED, Standing.FAILED, Standing.UNDECIDED)


def slot_taken(world: World) -> bool:
    """Whether a processor refund may exist that no refund is bound to."""
    return any(refund.unbound for refund in world.refunds)


def booked(setting: Setting, world: World, number: int, *, ticket: bool = False) -> World | None:
    """Stripe takes a report; ``None``: it refuses it (its reference is known, or no room)."""
    refund, shown = world.refunds[number], setting.shown(world)
    if shown + setting.amounts[number] > setting.captured:
        return None
    if ticket:
        after = refund._replace(by_ticket=True)
    elif refund.by_reference:
        return None
    else:
        after = refund._replace(by_reference=True, on_its_way=False)
    return put(world, number, after)._replace(shown_before=shown)


def moves_of_others(setting: Setting, world: World) -> Iterator[tuple[str, World]]:
    """Whatever the processor, those who refund elsewhere, and time may do next."""
    for number, refund in enumerate(world.refunds):
        for what, after in _processor(setting, world, number):
            # What Stripe shows or may have been told cannot be taken away there.
            told = refund.sent or refund.by_reference or refund.by_ticket
            clean = world.clean and not (told and after.moved is Moved.FAILED)
            if refund.moved is Moved.FAILED:
                clean = clean and _has_room(setting, world, number)  # else it is over-refunded
            yield f"{what} {number}", put(world, number, after)._replace(clean=clean)
        if refund.grace is Grace.NOW:
            over = refund._replace(grace=Grace.OVER)
            yield f"the grace of {number} ends", put(world, number, over)
        yield from _colleague(setting, world, number)
        if refund.on_its_way and (late := booked(setting, world, number)) is not None:
            yield f"Stripe books {number} late", late


def _processor(setting: Setting, world: World, number: int) -> Iterator[tuple[str, Refund]]:
    refund = world.refunds[number]
    ours = setting.makers[number] is Maker.OURS
    match refund.moved:
        case Moved.NOT if not ours or refund.unbound:
            if _has_room(setting, world, number):
                yield "the processor has", refund._replace(moved=Moved.YES)
                yield "the processor has, pending,", refund._replace(moved=Moved.PENDING)
        case Moved.PENDING:
            yield "the processor completes", refund._replace(moved=Moved.YES)
            yield "the processor fails", refund._replace(moved=Moved.FAILED)
        case Moved.YES if refund.turns:
            yield (
                "the processor takes back",
                refund._replace(moved=Moved.FAILED, turns=refund.turns - 1),
            )
        case Moved.FAILED if refund.turns:
            yield (
                "the processor completes after all",
                refund._replace(moved=Moved.YES, turns=refund.turns - 1),
            )


def _has_room(setting: Setting, world: World, number: int) -> bool:
    moved = sum(
        amount
        for amount, refund in zip(setting.amounts, world.refunds, strict=True)
        if refund.moved in (Moved.PENDING, Moved.YES)
    )
    return moved + setting.amounts[number] <= setting.captured


def instructions(setting: Setting, world: World) -> Iterator[tuple[str, World]]:
    """Our own instructions: answered, answered as pending, or the answer lost."""
    for number, refund in enumerate(world.refunds):
        new = refund.moved is Moved.NOT and refund.standing is None and not refund.unbound
        ours = setting.makers[number] is Maker.OURS
        if not (new and ours and _has_room(setting, world, number)) or slot_taken(world):
            continue
        begun = refund._replace(grace=Grace.NOW)
        done = begun._replace(moved=Moved.YES, standing=Standing.DUE)
        yield f"we refund {number}", put(world, number, done)
        pending = begun._replace(moved=Moved.PENDING, standing=Standing.PENDING)
        yield f"we refund {number}, pending", put(world, number, pending)
        lost = begun._replace(unbound=True)
        yield f"we refund {number}, answer lost", put(world, number, lost)


def _colleague(setting: Setting, world: World, number: int) -> Iterator[tuple[str, World]]:
    """Somebody tells Stripe of a refund by hand, once: under its reference or under a ticket."""
    refund = world.refunds[number]
    if refund.moved is not Moved.YES or refund.by_hand:
        return
    by_hand = put(world, number, refund._replace(by_hand=True))
    if (named := booked(setting, by_hand, number)) is not None:
        # A ticket for its equal was taken for it, and it is reported later than its grace: rings.
        clean = world.clean and refund.standing is not Standing.BELIEVED
        yield f"a colleague reports {number} under its id", named._replace(clean=clean)
    if setting.others_report is OthersReport.BY_PROCESSOR_ID:
        return
    if (ticket := booked(setting, by_hand, number, ticket=True)) is not None:
        in_time = setting.makers[number] is not Maker.OURS and refund.grace is not Grace.OVER
        clean = world.clean and in_time and not (refund.by_reference or refund.sent)
        yield f"a colleague reports {number} under a ticket", ticket._replace(clean=clean)
