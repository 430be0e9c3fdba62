"""Rules with a defect in them: the walk must find bad ends with each."""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any, Final

from refund_bridge.domain import stripe_knows
from refund_bridge.domain.stripe_knows import (
    ByReference,
    Known,
    Line,
    Look,
    NothingToTell,
    Refused,
    Standing,
    Tell,
    Verdict,
    Wait,
    Waiting,
)
from tests.model.stripe_worker import Rule
from tests.model.stripe_world import Maker

# The rule that was there before: no reference, no grace, nothing is ever looked at again


def _is_booked(
    refund_id: str,
    lines: Collection[Line],
    *,
    amount_refunded: int,
    captured: int,
    accepted_excess: int,
) -> ByReference | Wait | Refused:
    """Booked if Stripe's sum has risen by just what is due."""
    due = [line.amount for line in lines if line.standing is Standing.DUE]
    in_doubt = any(line.standing in (Standing.FAILED, Standing.UNDECIDED) for line in lines)
    risen = stripe_knows.unexplained(amount_refunded, lines, accepted_excess)
    if risen == sum(due) and not in_doubt:
        return ByReference()
    return Wait(Waiting.OTHER_REPORT) if len(due) > 1 else Refused(no_room=False)


def _always_tell(refund_id: str, lines: Collection[Line], u: int, **_: Any) -> Verdict:
    taken_back = any(line.taken_back for line in lines if line.refund_id == refund_id)
    return NothingToTell() if taken_back else Tell()


def _told_by_the_clock(maker: Maker, is_first_sight: bool) -> Standing:
    """What is older than the first sight of its payment is taken to be in Stripe's sum."""
    is_ours = maker is Maker.OURS
    return Standing.REPORTED if is_first_sight and not is_ours else Standing.DUE


PLAIN: Final = Rule(
    told_at_once=lambda line: line.standing is Standing.DUE and not line.taken_back,
    weigh=_always_tell,
    judge_refusal=_is_booked,
    look=lambda *_, **__: Look(),
    birth=_told_by_the_clock,
)


# The product's rule, blind to one thing


def _blind(function: Callable[..., Any], **facts: Any) -> Callable[..., Any]:
    def with_blindness(refund_id: str, lines: Collection[Line], *more: Any, **named: Any) -> Any:
        return function(refund_id, [replace(line, **facts) for line in lines], *more, **named)

    return with_blindness


def _never_asks_twice(refund_id: str, lines: Collection[Line], u: int, **named: Any) -> Verdict:
    return stripe_knows.weigh(refund_id, lines, u, **{**named, "seen_before": u})


def _waits_for_any_of_ours(
    refund_id: str, lines: Collection[Line], u: int, **named: Any
) -> Verdict:
    verdict = stripe_knows.weigh(refund_id, lines, u, **named)
    others = (line for line in lines if line.refund_id != refund_id and line.ours)
    if isinstance(verdict, Known) and any(line.standing is Standing.DUE for line in others):
        return Wait(Waiting.OTHER_REPORT)
    return verdict


def _waits_for_any_other(refund_id: str, lines: Collection[Line], **named: Any) -> Any:
    verdict = stripe_knows.judge_refusal(refund_id, lines, **named)
    others = (line for line in lines if line.refund_id != refund_id and line.sent)
    no_room = isinstance(verdict, Refused) and verdict.no_room
    if no_room and any(line.standing is Standing.DUE for line in others):
        return Wait(Waiting.OTHER_REPORT)
    return verdict


def _certain(refund_id: str, lines: Collection[Line], **named: Any) -> Any:
    """What Stripe refused is always taken to be known there."""
    return ByReference()


def _keeps_beliefs(function: Callable[..., Any]) -> Callable[..., Any]:
    def keeping(*arguments: Any, **named: Any) -> Any:
        found = function(*arguments, **named)
        return replace(found, owe=()) if hasattr(found, "owe") else found

    return keeping


def _no_one_asks(lines: Collection[Line], u: int, **named: Any) -> Look:
    return replace(stripe_knows.look(lines, u, **named), alarm=None)


BLIND: Final[dict[str, Rule]] = {
    "the sums decide what was sent, too": Rule(
        told_at_once=lambda line: stripe_knows.told_at_once(replace(line, sent=False)),
        weigh=_blind(stripe_knows.weigh, sent=False),
    ),
    "nobody is given time to report": Rule(weigh=_blind(stripe_knows.weigh, in_grace=False)),
    "one read is believed": Rule(weigh=_never_asks_twice),
    "a free slot is taken for granted": Rule(
        weigh=lambda *lines, **named: stripe_knows.weigh(*lines, **{**named, "slot_taken": False})
    ),
    "old reports of ours wait for each other": Rule(weigh=_waits_for_any_of_ours),
    "refused ones wait for each other": Rule(judge_refusal=_waits_for_any_other),
    "every refusal means that Stripe knows": Rule(judge_refusal=_certain),
    "beliefs are kept": Rule(
        weigh=_keeps_beliefs(stripe_knows.weigh),
        look=_keeps_beliefs(stripe_knows.look),
        judge_refusal=_keeps_beliefs(stripe_knows.judge_refusal),
    ),
    "nothing rings": Rule(look=_no_one_asks),
}
