"""Every order of steps of two refunds of one payment, two workers and two crashes: exhaustively.

It uses the pure functions alone (``transition``, ``follow``, ``after_outcome``, ``judge``): no
ports, no time, no chance. At each point there is a set of possible next steps of workers and the
processor, and all of them are tried, for each way in which a processor shows an instruction's
result.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import pytest

from refund_bridge.domain.charge import Charge, ChargeStatus, ProcessorRefund, ProcessorRefundStatus
from refund_bridge.domain.evidence import Found, NoneYet, judge
from refund_bridge.domain.instruction import Aborted, Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.outcome import after_outcome, after_processor_refund
from refund_bridge.domain.payment import Payment, PaymentKey, follow
from refund_bridge.domain.refund import HANDED_OVER_AGAIN, Failure, Refund
from refund_bridge.domain.refund_request import ReferenceType, RefundRequest, Source
from refund_bridge.domain.state_machine import FREED, UNBOUND, Event, State
from refund_bridge.domain.transitions import Why, born, noted, transition
from refund_bridge.ports.processor import Dedupe
from tests.fakes.abilities import ABILITIES

pytestmark = pytest.mark.heavy

CAPTURED = 10
AT_MS = 1_700_000_000_000
WHY = Why(at_ms=AT_MS, cause="test", actor="test")
FAILURE = Failure(code="not_executed", message="none")
KEY = PaymentKey("hitpay", "charge-1")
Made = tuple[int, ProcessorRefund]


@dataclass(frozen=True)
class Way:
    """How a processor shows an instruction's result, and whether refunds show instructions."""

    dedupes: Dedupe
    shows_instructions: bool


WAYS: Final = {
    "by look-up": Way(Dedupe.BY_LOOK_UP, shows_instructions=False),
    "by look-up, instructions are shown": Way(Dedupe.BY_LOOK_UP, shows_instructions=True),
    "by key": Way(Dedupe.BY_KEY, shows_instructions=True),
}


@dataclass(frozen=True)
class Situation:
    """All that is true at one moment.

    ``replies``: what each worker has to record; ``late``: whose instructions may still arrive.
    """

    way: Way
    payment: Payment
    refunds: tuple[Refund | None, Refund | None]
    ready: tuple[bool, bool] = (False, False)
    replies: tuple[Outcome | None, Outcome | None] = (None, None)
    late: tuple[bool, bool] = (False, False)
    made: tuple[Made, ...] = ()
    crashes: int = 2

    @property
    def gist(self) -> object:
        """The parts by which situations differ; histories and times are left out."""
        refunds = tuple(
            one and (one.state, min(one.attempt, 2), one.processor_refund_id, one.repeats > 0)
            for one in self.refunds
        )
        payment = (self.payment.held, self.payment.moved, self.payment.slot)
        replies = tuple(type(one).__name__ for one in self.replies)
        made = tuple((who, one.id, one.status) for who, one in self.made)
        return refunds, payment, self.ready, replies, self.late, made, self.crashes

    def write(self, who: int, after: Refund) -> "Situation":
        """The refund and its payment, in one transaction."""
        payment = follow(self.payment, self.refunds[who], after)
        return replace(self, payment=payment, refunds=_put(self.refunds, who, after))


def _put(pair: tuple, who: int, value: object) -> tuple:  # type: ignore[type-arg]
    return (value, pair[1]) if who == 0 else (pair[0], value)


def steps(now: Situation, amount: int) -> Iterator[Situation]:
    """All situations that may come next."""
    for who in (0, 1):
        yield from reserving(now, who, amount)
        if now.ready[who]:
            yield from sending(now, who)
        if now.late[who]:
            yield arriving(replace(now, late=_put(now.late, who, False)), who)
        yield from recording(now, who)
        yield from settling(now, who)
        if now.crashes and (now.ready[who] or now.replies[who]):
            lost = _put(now.replies, who, None)
            ready = _put(now.ready, who, False)
            yield replace(now, ready=ready, replies=lost, crashes=now.crashes - 1)


def reserving(now: Situation, who: int, amount: int) -> Iterator[Situation]:
    refund = now.refunds[who]
    is_open = refund is None or (refund.state is State.ABORTED and refund.attempt < 2)
    if not is_open or now.payment.slot or now.ready[who] or now.payment.refundable < amount:
        return
    snapshot = tuple(one.id for _, one in now.made if one.status is ProcessorRefundStatus.FAILED)
    facts = {"started_at_ms": AT_MS, "snapshot": snapshot}
    if refund is None:
        fresh = replace(_new(who, amount), attempt=1, snapshot=snapshot)
        after = born(fresh, Event.ACCEPT_INSTANT, WHY)
    else:
        after = transition(refund, Event.START, WHY, attempt=2, **facts)
    yield replace(now.write(who, after), ready=_put(now.ready, who, True))


def sending(now: Situation, who: int) -> Iterator[Situation]:
    refund = now.refunds[who]
    assert refund is not None
    sent = replace(now, ready=_put(now.ready, who, False))

    def hearing(reply: Outcome, made: ProcessorRefund | None = None) -> Situation:
        more = () if made is None else ((who, made),)
        return replace(sent, replies=_put(sent.replies, who, reply), made=(*sent.made, *more))

    if refund.state is not State.SUBMITTING:
        yield hearing(Aborted("the lease ran out"))
        return
    yield hearing(Aborted("refused connection"))
    yield hearing(Rejected("no", 422))
    yield hearing(Unknown("lost"))
    if now.way.dedupes is Dedupe.BY_KEY:
        yield replace(hearing(Unknown("late")), late=_put(now.late, who, True))
    for status in (ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.PENDING):
        made = _processor_refund(now, who, status)
        yield hearing(Accepted(made), made)
        yield hearing(Unknown("reply lost"), made)


def arriving(now: Situation, who: int) -> Situation:
    """An instruction arrives; if the processor knows its key already, it moves nothing."""
    if any(owner == who for owner, _ in now.made):
        return now
    return replace(
        now, made=(*now.made, (who, _processor_refund(now, who, ProcessorRefundStatus.SUCCEEDED)))
    )


def recording(now: Situation, who: int) -> Iterator[Situation]:
    refund, reply = now.refunds[who], now.replies[who]
    if refund is None or reply is None:
        return
    heard = replace(now, replies=_put(now.replies, who, None))
    if refund.state not in UNBOUND:
        yield heard
        return
    yield heard.write(who, after_outcome(refund, reply, at_ms=AT_MS, actor="test"))


def settling(now: Situation, who: int) -> Iterator[Situation]:
    refund = now.refunds[who]
    if refund is None:
        return
    if refund.state is State.SUBMITTING:
        yield now.write(who, transition(refund, Event.LOSE, WHY))
    if refund.state is State.PENDING:
        yield from ending(now, who, refund)
    if refund.state not in (State.UNKNOWN, State.REVIEW):
        return
    if now.way.dedupes is Dedupe.BY_KEY:
        yield from asking_by_key(now, who, refund)
        return
    verdict = judge(refund, _charge(now), _claims(now))
    if isinstance(verdict, Found):
        processor_refund = verdict.processor_refund
        yield now.write(
            who,
            after_processor_refund(
                refund, processor_refund, at_ms=AT_MS, cause="found", actor="test"
            ),
        )
    if isinstance(verdict, NoneYet):
        yield from ending_the_hold(now, who, refund)


def asking_by_key(now: Situation, who: int, refund: Refund) -> Iterator[Situation]:
    """Look the key up: the result is certain; without one, the instruction is sent again."""
    mine = [processor_refund for owner, processor_refund in now.made if owner == who]
    if mine:
        after = after_processor_refund(refund, mine[0], at_ms=AT_MS, cause="found", actor="test")
        yield now.write(who, after)
        return
    yield from ending_the_hold(now, who, refund)
    if refund.state is State.UNKNOWN:
        intent = noted(refund, replace(WHY, cause=HANDED_OVER_AGAIN))
        before = now.write(who, intent)
        again = arriving(before, who)
        _, processor_refund = again.made[-1]
        after = after_processor_refund(
            intent, processor_refund, at_ms=AT_MS, cause="accepted", actor="test"
        )
        yield again.write(who, after)
        yield again  # and the answer is lost
        yield replace(before, late=_put(now.late, who, True))


def ending_the_hold(now: Situation, who: int, refund: Refund) -> Iterator[Situation]:
    """The late-arrival window ends only when no instruction can arrive any more."""
    over = not now.ready[who] and now.replies[who] is None and not now.late[who]
    if over and refund.state is State.UNKNOWN:
        yield now.write(who, transition(refund, Event.FAIL, WHY, failure=FAILURE))
        yield now.write(who, transition(refund, Event.ESCALATE, WHY))


def ending(now: Situation, who: int, refund: Refund) -> Iterator[Situation]:
    """The pending processor refund ends, and its refund follows it."""
    for status in (ProcessorRefundStatus.SUCCEEDED, ProcessorRefundStatus.FAILED):
        made = tuple(
            (owner, replace(one, status=status) if one.id == refund.processor_refund_id else one)
            for owner, one in now.made
        )
        (processor_refund,) = [one for _, one in made if one.id == refund.processor_refund_id]
        after = after_processor_refund(
            refund, processor_refund, at_ms=AT_MS, cause="ended", actor="test"
        )
        yield replace(now, made=made).write(who, after)


def check(now: Situation) -> None:
    """The invariants that two refunds and a charge can break."""
    alive = [(who, one) for who, one in now.made if one.status is not ProcessorRefundStatus.FAILED]
    assert sum(one.money.amount for _, one in alive) <= CAPTURED
    refunds = [one for one in now.refunds if one is not None]
    assert now.payment.held == sum(one.amount for one in refunds if one.state not in FREED)
    unbound = [one.id for one in refunds if one.state in UNBOUND and not one.processor_refund_id]
    assert unbound == ([now.payment.slot] if now.payment.slot else [])
    bound = [one.processor_refund_id for one in refunds if one.processor_refund_id]
    assert len(bound) == len(set(bound))
    for who, refund in enumerate(now.refunds):
        mine = [one for owner, one in now.made if owner == who]
        assert len(mine) <= 1
        if refund is None or refund.state in FREED:
            assert all(one.status is ProcessorRefundStatus.FAILED for one in mine)
        elif refund.processor_refund_id is not None:
            assert [one.id for one in mine] == [refund.processor_refund_id]


def _new(who: int, amount: int) -> Refund:
    return Refund(
        id=f"refund-{who}",
        request=RefundRequest(reference_type=ReferenceType.PAYMENT_RECORD, reference_id="pr_1"),
        source=Source.API,
        state=State.SUBMITTING,
        processor=KEY.processor,
        processor_payment_id=KEY.charge_id,
        payment_record="pr_1",
        payment_intent=None,
        invoice=None,
        amount=amount,
        currency="sgd",
        created_at_ms=AT_MS,
        updated_at_ms=AT_MS,
        started_at_ms=AT_MS,
    )


def _processor_refund(now: Situation, who: int, status: ProcessorRefundStatus) -> ProcessorRefund:
    refund = now.refunds[who]
    assert refund is not None
    return ProcessorRefund(
        id=f"movement-{len(now.made) + 1}",
        payment_id=KEY.charge_id,
        money=Money(refund.amount, "sgd"),
        status=status,
        created_at_ms=AT_MS,
        instruction_id=refund.id if now.way.shows_instructions else None,
    )


def _charge(now: Situation) -> Charge:
    return Charge(
        id=KEY.charge_id,
        status=ChargeStatus.REFUNDABLE,
        processor_status="succeeded",
        money=Money(CAPTURED, "sgd"),
        refunded=0,
        processor_refunds=tuple(one for _, one in now.made),
    )


def _claims(now: Situation) -> dict[str, str]:
    bound = [one for one in now.refunds if one is not None and one.processor_refund_id]
    return {one.processor_refund_id or "": one.id for one in bound}


def test_every_way_of_the_processors_is_walked() -> None:
    assert {way.dedupes for way in WAYS.values()} == {can.dedupes for can in ABILITIES.values()}


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("amount", [4, 5, 6, 10])
def test_no_order_of_steps_breaks_an_invariant(amount: int, way: str) -> None:
    payment = Payment(key=KEY, payment_record="pr_1", currency="sgd", captured=CAPTURED)
    begin = Situation(WAYS[way], payment, (None, None))
    seen, waiting = {begin.gist}, deque([begin])
    reached: set[State] = set()
    while waiting:
        now = waiting.popleft()
        for after in steps(now, amount):
            if after.gist not in seen:
                check(after)
                reached.update(one.state for one in after.refunds if one is not None)
                seen.add(after.gist)
                waiting.append(after)
    assert len(seen) > 500
    assert reached == set(State) - {State.REQUESTED}
