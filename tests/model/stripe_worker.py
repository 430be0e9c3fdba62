"""The ledger and the worker that tells Stripe, in that small world. The rule decides everything."""

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from refund_bridge.domain import stripe_knows
from refund_bridge.domain.stripe_knows import (
    ByReference,
    CannotTell,
    Known,
    Line,
    Look,
    NothingToTell,
    NotShown,
    Refused,
    Standing,
    Tell,
    Told,
    Verdict,
    Wait,
)
from tests.model.stripe_world import (
    IDLE,
    Grace,
    Maker,
    Moved,
    Refund,
    Setting,
    Step,
    World,
    booked,
    put,
    slot_taken,
)


@dataclass(frozen=True, slots=True)
class Rule:
    """Who decides: the product's rule, or one with a defect in it."""

    told_at_once: Callable[[Line], bool] = stripe_knows.told_at_once
    weigh: Callable[..., Verdict] = stripe_knows.weigh
    judge_refusal: Callable[..., ByReference | Wait | Refused] = stripe_knows.judge_refusal
    told_by_person: Callable[[str, Collection[Line], int], Told | NotShown] = (
        stripe_knows.told_by_person
    )
    look: Callable[..., Look] = stripe_knows.look
    birth: Callable[[Maker, bool], Standing] = lambda maker, _is_first_sight: (
        Standing.BEFORE_ADOPTION if maker is Maker.BEFORE_US else Standing.DUE
    )


def u_of(setting: Setting, world: World, shown: int) -> int:
    """U, had Stripe shown that."""
    return stripe_knows.unexplained(shown, setting.lines(world), world.accepted_excess)


# What the ledger learns when the charge is read


def observed(setting: Setting, world: World, number: int, rule: Rule) -> World:
    """One refund as the charge shows it, in the ledger."""
    refund = world.refunds[number]
    if refund.moved is Moved.NOT:
        return world
    if setting.makers[number] is not Maker.OURS and refund.standing is None:
        amount = setting.amounts[number]
        for other, amounts in zip(world.refunds, setting.amounts, strict=True):
            if other.unbound and amounts == amount:
                return world  # which of the two is ours is not known yet
    is_first_sight = all(other.standing is None and not other.unbound for other in world.refunds)
    birth = rule.birth(setting.makers[number], is_first_sight)
    after = _as_shown(refund, birth)
    return world if after is refund else put(world, number, after)


@cache  # few refunds differ, and millions of worlds have them
def _as_shown(refund: Refund, birth: Standing) -> Refund:
    match refund.moved:
        case Moved.NOT:
            return refund
        case Moved.PENDING:
            if refund.standing is None:
                return refund._replace(standing=Standing.PENDING, unbound=False)
            return refund
        case Moved.YES:
            return _as_succeeded(refund, birth)
        case Moved.FAILED:
            return _as_failed(refund)


def _due_now(refund: Refund) -> Refund:
    return refund._replace(
        standing=Standing.DUE,
        unbound=False,
        taken_back=False,
        waived=False,
        grace=Grace.NOW if refund.grace is Grace.AHEAD else refund.grace,
    )


def _as_succeeded(refund: Refund, birth: Standing) -> Refund:
    match refund.standing:
        case None if birth is not Standing.DUE:
            return refund._replace(standing=birth, grace=Grace.OVER, unbound=False)
        case None | Standing.PENDING:
            return _due_now(refund)
        case Standing.CLOSED if refund.taken_back or not refund.waived:
            return _due_now(refund)
        case _:
            return refund._replace(taken_back=False) if refund.taken_back else refund


def _as_failed(refund: Refund) -> Refund:
    match refund.standing:
        case None:
            return refund._replace(
                standing=Standing.CLOSED if refund.unbound else None, unbound=False
            )
        case Standing.PENDING | Standing.BEFORE_ADOPTION | Standing.UNDECIDED:
            return refund._replace(standing=Standing.CLOSED, taken_back=True)
        case Standing.DUE if not refund.sent:
            return refund._replace(standing=Standing.CLOSED, taken_back=True, forced=False)
        case Standing.CLOSED:
            return refund
        case _:
            return refund if refund.taken_back else refund._replace(taken_back=True)


def observed_all(setting: Setting, world: World, rule: Rule) -> World:
    """What a report learns from the charge; an unknown refund of ours is bound elsewhere."""
    for number, refund in enumerate(world.refunds):
        if not refund.unbound:
            world = observed(setting, world, number, rule)
    return world


def settled_unknown(setting: Setting, world: World, rule: Rule) -> World:
    """What was unknown is bound; only then the rest of the charge is imported."""
    for number, refund in enumerate(world.refunds):
        if refund.unbound:
            world = observed(setting, world, number, rule)
    return observed_all(setting, world, rule)


# What the worker does


def reports(setting: Setting, world: World, rule: Rule) -> Iterator[tuple[str, World]]:
    """Every next step of the worker, with every fault that may happen to it."""
    match world.step:
        case Step("idle"):
            for number, line in _due(setting, world):
                if rule.told_at_once(line):
                    yield f"report {number} at once", _sending(world, number)
                else:
                    for how, shown, after in _reads(setting, world):
                        step = _read("weigh", number, shown, world)
                        yield f"read Stripe{how} for {number}", after._replace(step=step)
            for how, shown, after in _reads(setting, world):
                step = _read("look", -1, shown, world)
                yield f"look: read Stripe{how}", after._replace(step=step)
        case Step("weigh" | "look", number):
            yield (
                f"read the charge and decide {number}",
                decided(setting, observed_all(setting, world, rule), rule),
            )
            if world.faults:
                # Needs nobody unless both reads are old; the slot may have hidden one before.
                first = u_of(setting, world, world.step.shown) != world.seen
                lagging = world._replace(faults=world.faults - 1, clean=world.clean and first)
                yield f"read an old charge and decide {number}", decided(setting, lagging, rule)
        case Step("call", number):
            yield from _call(setting, world, number)
        case Step("judge"):
            for how, shown, after in _reads(setting, world):
                yield f"judge the refusal{how}", judged(setting, after, shown, rule)


def _due(setting: Setting, world: World) -> Iterator[tuple[int, Line]]:
    for line in setting.lines(world):
        if line.standing is Standing.DUE:
            yield int(line.refund_id), line


def _reads(setting: Setting, world: World) -> Iterator[tuple[str, int, World]]:
    shown = setting.shown(world)
    yield "", shown, world
    if world.faults and world.shown_before != shown:
        stale = world._replace(faults=world.faults - 1, clean=False)
        yield " (stale)", world.shown_before, stale


def _read(name: str, number: int, shown: int, world: World) -> Step:
    # An external refund that the charge shows only after the record was read is in its grace.
    in_grace = tuple(
        refund.grace is Grace.NOW or refund.standing in (None, Standing.PENDING)
        for refund in world.refunds
    )
    return Step(name, number, shown, in_grace)


def _sending(world: World, number: int) -> World:
    """``sent`` is durable before the call."""
    refund = world.refunds[number]._replace(sent=True)
    clean = world.clean and refund.moved is not Moved.FAILED  # taken back in this very moment
    return put(world, number, refund)._replace(step=Step("call", number), clean=clean)


def decided(setting: Setting, world: World, rule: Rule) -> World:
    """The worker's decision from what it read, written in one transaction."""
    step = world.step
    u, seen = u_of(setting, world, step.shown), world.seen
    lines, taken = setting.lines(world), slot_taken(world)
    world = world._replace(step=IDLE, seen=u)
    if step.name == "look":
        found = rule.look(lines, u, seen_before=seen, slot_taken=taken, all_listed=True)
        return owed(believed(world, found.known), found.owe)
    verdict = rule.weigh(
        str(step.refund),
        lines,
        u,
        seen_before=seen,
        slot_taken=taken,
        all_listed=True,
        others_report=setting.others_report,
    )
    return _verdict_written(owed(world, verdict.owe), step.refund, verdict)


def _verdict_written(world: World, number: int, verdict: Verdict) -> World:
    refund = world.refunds[number]
    match verdict:
        case Tell():
            return _sending(world, number)
        case Wait():
            return world
        case Known(refund_ids):
            return believed(world, refund_ids)
        case CannotTell():
            failed = Standing.FAILED if refund.sent else Standing.UNDECIDED
            return put(world, number, refund._replace(standing=failed))
        case NothingToTell():
            if refund.standing is not Standing.DUE:
                return world
            return put(world, number, refund._replace(standing=Standing.CLOSED))


def believed(world: World, refund_ids: Iterable[str]) -> World:
    """Reported, because of the sums."""
    for each in refund_ids:
        refund = world.refunds[int(each)]._replace(standing=Standing.BELIEVED)
        world = put(world, int(each), refund)
    return world


def owed(world: World, refund_ids: Iterable[str]) -> World:
    """Due again; what was taken back meanwhile owes nothing."""
    for each in refund_ids:
        refund = world.refunds[int(each)]
        nothing = refund.taken_back and not refund.sent
        standing = Standing.CLOSED if nothing else Standing.DUE
        world = put(world, int(each), refund._replace(standing=standing))
    return world


def accepted(world: World, number: int) -> World:
    """Stripe took the report, and its answer arrived."""
    refund = world.refunds[number]._replace(standing=Standing.REPORTED, forced=False)
    return put(world, number, refund)._replace(step=IDLE)


def judged(setting: Setting, world: World, shown: int, rule: Rule) -> World:
    """Stripe refused the report; the record was read again."""
    number, world = world.step.refund, world._replace(step=IDLE)
    verdict = rule.judge_refusal(
        str(number),
        setting.lines(world),
        amount_refunded=shown,
        captured=setting.captured,
        accepted_excess=world.accepted_excess,
    )
    refund = world.refunds[number]._replace(forced=False)
    match verdict:
        case ByReference(owe):
            reported = put(world, number, refund._replace(standing=Standing.REPORTED))
            return owed(reported, owe)
        case Wait():
            return world
        case Refused():
            return put(world, number, refund._replace(standing=Standing.FAILED))


def _call(setting: Setting, world: World, number: int) -> Iterator[tuple[str, World]]:
    after = booked(setting, world, number)
    if after is None:
        yield f"Stripe refuses {number}", world._replace(step=Step("judge", number))
    else:
        yield f"Stripe takes {number}", accepted(after, number)
    if not world.faults:
        return
    fewer = world.faults - 1
    idle = world._replace(step=IDLE, faults=fewer)
    taken = None if after is None else after._replace(step=IDLE, faults=fewer)
    for what, then in (("is lost", idle), ("is taken, its answer lost", taken)):
        if then is None:
            continue
        yield f"the report of {number} {what}", then
        refund = then.refunds[number]._replace(standing=Standing.FAILED)
        last = put(then, number, refund)._replace(clean=False)
        yield f"the last report of {number} {what}", last
    if after is not None:
        way = world.refunds[number]._replace(on_its_way=True)
        yield f"the report of {number} is on its way", put(idle, number, way)
