"""Decides whether Stripe already knows of a refund. Pure, and the only such place.

Stripe keeps one sum per Payment Record and cannot be asked for a single reference. Others may book
there too: under the processor's refund id, under a reference of their own, or not at all. So:

1. A report that was ever *sent* is decided by **its reference**: it is sent again until Stripe
   takes or refuses it.
2. A report that was never sent is decided by **the sums**: those of external refunds, and ours
   older than the grace.

::

    U = what Stripe shows as refunded − all that is reported − the excess that a person accepted

    U = 0   Stripe shows nothing beyond what is reported: tell Stripe
    U > 0   others booked something: the reports are known if just one set of amounts makes U
    U < 0   Stripe does not show something that we believed it shows: that becomes due again

Reports never wait for each other in a circle. A report that the sums decide waits for those that
are told without the sums. Those wait only for a smaller report of their kind, or for nothing. A
report of a refund that was taken back waits only for those that were not taken back. A grace ends
by time; a failed report and a review end by a person.

The caller must hold the lease on the payment's reports. In this order it takes the time, reads the
record, **then** reads the charge, and imports what is new. It writes the decision only if no refund
of the record has changed since. Amounts are in Stripe's minor units.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Standing(StrEnum):
    """What is known about Stripe and one refund."""

    DUE = "due"
    UNDECIDED = "undecided"  # failed with cause cannot_tell and never sent; still a candidate
    FAILED = "failed"  # failed for any other reason
    PENDING = "pending"  # not certain yet whether it moves money
    BEFORE_ADOPTION = "before_adoption"  # not due, and nobody decided about it
    REPORTED = "reported"  # certain: accepted, refused as known, or said by a person
    BELIEVED = "believed"  # reported because of the sums alone
    CLOSED = "closed"  # nothing to tell, waived, or taken back before it was sent


class OthersReport(StrEnum):
    """How others report their external refunds to Stripe."""

    ANYHOW = "anyhow"
    BY_PROCESSOR_ID = "by_processor_id"  # under the processor's refund id, so the reference decides


class Waiting(StrEnum):
    """Why a report waits."""

    GRACE = "whoever made it may still report it"
    OTHER_GRACE = "whoever made another one may still report that"
    SLOT = "a processor refund of this payment is not known yet"
    OTHER_REPORT = "another report of this record is under way"
    FAILED_REPORT = "another report that was sent has failed: a person closes it first"
    READ_AGAIN = "Stripe's sum must be read twice alike"
    LOWER = "Stripe shows less than what is reported"


class Alarm(StrEnum):
    """The alarm to raise if nothing is open and the sums disagree all the same."""

    STRIPE_HIGHER = "stripe_higher"
    STRIPE_LOWER = "stripe_lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One refund of a Payment Record, with what matters for telling Stripe.

    Attributes:
        amount: in minor units, above 0.
        sent: Stripe was asked at least once; stored before the call.
        forced: a person decided that Stripe must be told, so the sums are not used.
        in_grace: others may still report it themselves: at the time taken *before* the record was
            read, the refund was younger than the grace. (What others report between that read and
            the grace's end is not in the sum.) The age of an external refund counts from when it
            became due here; that of ours from when it was sent to the processor, where others can
            see it.
        ours: a caller asked this service for it; else it is external.
        taken_back: the processor shows the success as failed now.
        made_at_ms: sorts equal amounts, older first.
    """

    refund_id: str
    amount: int
    standing: Standing
    sent: bool = False
    forced: bool = False
    in_grace: bool = False
    ours: bool = False
    taken_back: bool = False
    made_at_ms: int = 0


@dataclass(frozen=True, slots=True)
class Tell:
    """Send the report (again), under its reference."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """The report stays due; decide again later. Uses no receive; raises an alarm after a day."""

    reason: Waiting
    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Stripe shows these refunds: they become reported, cause ``by_sums``; decide others again."""

    refund_ids: tuple[str, ...]
    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CannotTell:
    """The report fails with cause ``cannot_tell``: a person must decide."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NothingToTell:
    """There is nothing to tell (any more): a due report becomes ``not_due``."""

    owe: tuple[str, ...] = ()


# ``owe`` in every verdict: reports to make due again in the same write, because they were believed
# by the sums and the sums do not show them any more.
Verdict = Tell | Wait | Known | CannotTell | NothingToTell


@dataclass(frozen=True, slots=True)
class ByReference:
    """Stripe already has the refund under its reference: the report is made, for certain."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The report fails: a person must decide. ``no_room``: the record cannot take the amount."""

    no_room: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A person may say that Stripe shows the refund: the report is made, for certain."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotShown:
    """Stripe does not show the refund, even if a person says so; ``short`` is what is missing."""

    short: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a check of the sums says when no report is to be made.

    Attributes:
        owe: reports to make due again: those that the sums do not show any more, or those that a
            person was to decide and need not decide any more.
        known: Stripe shows these: they become reported, cause ``by_sums``.
        alarm: nothing is open, and Stripe's sum differed from ours twice.
    """

    owe: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    alarm: Alarm | None = None


# More sums than this are not searched: then a person is asked.
MOST_SUMS: Final = 20_000

_COUNTED: Final = frozenset({Standing.REPORTED, Standing.BELIEVED})
_CANDIDATES: Final = frozenset(
    {Standing.DUE, Standing.UNDECIDED, Standing.PENDING, Standing.BEFORE_ADOPTION}
)
_OPEN: Final = frozenset({Standing.DUE, Standing.UNDECIDED, Standing.FAILED, Standing.PENDING})


def unexplained(amount_refunded: int, lines: Iterable[Line], accepted_excess: int) -> int:
    """U: what Stripe shows as refunded beyond what is reported and accepted.

    Args:
        amount_refunded: the Payment Record's, in minor units.
        lines: every refund of the record.
        accepted_excess: what a person accepted as shown too much, in minor units.
    """
    reported = sum(line.amount for line in lines if line.standing in _COUNTED)
    return amount_refunded - reported - accepted_excess


def told_at_once(line: Line) -> bool:
    """Whether a due report is told without using the sums, so the record need not be read."""
    return (
        line.standing is Standing.DUE
        and not line.taken_back
        and (line.sent or line.forced or (line.ours and line.in_grace))
    )


def weigh(  # noqa: PLR0911, PLR0913 - one return for each line of the rule
    refund_id: str,
    lines: Collection[Line],
    u: int,
    *,
    seen_before: int | None,
    slot_taken: bool,
    all_listed: bool,
    others_report: OthersReport = OthersReport.ANYHOW,
) -> Verdict:
    """Decide about one report that is due.

    Args:
        refund_id: the refund of that report; one of ``lines``.
        lines: every refund of the record, read after the record was.
        u: ``unexplained`` of the record that was just read.
        seen_before: U as read the last time; ``None``: this is the first time.
        slot_taken: a processor refund may exist on the charge that no refund is bound to.
        all_listed: ``lines`` has all external refunds. If the processor does not show them all,
            Stripe's sum may include a refund that the ledger does not know.
        others_report: the merchant's setting: how others report their external refunds to Stripe.
    """
    line = _line(refund_id, lines)
    if line.standing is not Standing.DUE:
        return NothingToTell()
    if line.taken_back:
        return _taken_back(line, lines, u, seen_before=seen_before)
    if told_at_once(line):
        return Tell()
    if line.in_grace:  # an external one: ours is told at once
        return Wait(Waiting.GRACE)
    if u == 0 or others_report is OthersReport.BY_PROCESSOR_ID:
        return Tell()
    beliefs = _beliefs(lines)
    if u < 0 and beliefs:
        return Wait(Waiting.LOWER, owe=beliefs)
    obstacle = _obstacle(refund_id, lines, slot_taken=slot_taken)
    if obstacle is not None:
        return Wait(obstacle)
    if seen_before != u:
        return Wait(Waiting.READ_AGAIN)
    found = _explain(u, lines) if all_listed else None
    if found is None:
        return CannotTell()
    moved = tuple(each.refund_id for each in found if each.standing is not Standing.PENDING)
    return Known(moved) if moved else Tell()


def judge_refusal(
    refund_id: str,
    lines: Collection[Line],
    *,
    amount_refunded: int,
    captured: int,
    accepted_excess: int,
) -> ByReference | Wait | Refused:
    """Decide why Stripe refused a report that was sent (not for its API key or a rate limit).

    Args:
        refund_id: the refund whose report was refused; still due in ``lines``.
        lines: every refund of the record.
        amount_refunded: the Payment Record's, read after the refusal.
        captured: the most that the record can refund in all, read with it.
        accepted_excess: see ``unexplained``.
    """
    line = _line(refund_id, lines)
    u = unexplained(amount_refunded, lines, accepted_excess)
    believed = sum(each.amount for each in lines if each.standing is Standing.BELIEVED)
    if amount_refunded + line.amount <= captured:
        # There was room for the amount, so Stripe refused it because it has the reference.
        if u + believed < line.amount:
            return Refused(no_room=False)
        return ByReference(owe=_beliefs(lines) if u < line.amount else ())
    others = _sent_and_open(refund_id, lines)
    # Refunds older than this service: if others told Stripe of them, that was before ours.
    older = [each for each in lines if each.standing is Standing.BEFORE_ADOPTION]
    if u >= line.amount + sum(other.amount for other in [*others, *older]):
        return ByReference()
    # A smaller report may still find room, or turn out to be known. A larger one cannot.
    if any(told_at_once(other) and _size(other) < _size(line) for other in others):
        return Wait(Waiting.OTHER_REPORT)
    return Refused(no_room=True)


def told_by_person(refund_id: str, lines: Collection[Line], u: int) -> Told | NotShown:
    """Whether a person may say that Stripe shows this refund.

    If other reports were believed to explain that part of Stripe's sum, those become due again in
    the same transaction.
    """
    line = _line(refund_id, lines)
    short = line.amount - u - (line.amount if line.standing in _COUNTED else 0)
    owe: list[str] = []
    others = [each for each in lines if each.standing is Standing.BELIEVED and each is not line]
    # First one with exactly the missing amount; else the youngest refund.
    for other in sorted(others, key=lambda each: (each.amount != short, -each.made_at_ms)):
        if short <= 0:
            break
        owe.append(other.refund_id)
        short -= other.amount
    return NotShown(short) if short > 0 else Told(tuple(owe))


def excess_to_accept(lines: Collection[Line], u: int, *, slot_taken: bool) -> int:
    """How much excess at Stripe a person may accept, in minor units; 0 while anything is open."""
    is_open = slot_taken or any(line.standing in _OPEN for line in lines)
    return 0 if is_open else max(u, 0)


def look(  # noqa: PLR0911
    lines: Collection[Line],
    u: int,
    *,
    seen_before: int | None,
    slot_taken: bool,
    all_listed: bool,
) -> Look:
    """Decide by the sums, after record and charge were read, though no report is to be made.

    Args: as for ``weigh``.
    """
    beliefs = _beliefs(lines)
    if u < 0 and beliefs:
        return Look(owe=beliefs)
    if seen_before != u:
        return Look()
    undecided = tuple(
        line.refund_id
        for line in lines
        if line.standing is Standing.UNDECIDED and not line.taken_back
    )
    if u == 0:
        return Look(owe=undecided)
    is_due = any(line.standing is Standing.DUE for line in lines)
    if is_due or _obstacle("", lines, slot_taken=slot_taken) is not None:
        return Look()
    found = _explain(u, lines) if all_listed else None
    if found is not None:
        moved = (line for line in found if line.standing is not Standing.PENDING)
        return Look(known=tuple(line.refund_id for line in moved))
    if undecided:
        return Look()  # each of them raises an alarm as a failed report
    return Look(alarm=Alarm.STRIPE_HIGHER if u > 0 else Alarm.STRIPE_LOWER)


def _taken_back(  # noqa: PLR0911
    line: Line, lines: Collection[Line], u: int, *, seen_before: int | None
) -> Verdict:
    """Decide about a due report whose money the processor took back: it is never sent (again).

    If it was sent before, the sums must say whether Stripe shows it; if so, it is ``Known``.
    """
    if not line.sent:
        return NothingToTell()
    beliefs = _beliefs(lines)
    if u < 0 and beliefs:
        return Wait(Waiting.LOWER, owe=beliefs)
    if seen_before != u:
        return Wait(Waiting.READ_AGAIN)
    if u <= 0:
        return NothingToTell()
    others = _sent_and_open(line.refund_id, lines)
    if u >= line.amount + sum(other.amount for other in others):
        return Known((line.refund_id,))
    if any(told_at_once(other) for other in others):
        return Wait(Waiting.OTHER_REPORT)
    return CannotTell()


def _line(refund_id: str, lines: Iterable[Line]) -> Line:
    return next(line for line in lines if line.refund_id == refund_id)


def _beliefs(lines: Iterable[Line]) -> tuple[str, ...]:
    return tuple(line.refund_id for line in lines if line.standing is Standing.BELIEVED)


def _sent_and_open(refund_id: str, lines: Iterable[Line]) -> list[Line]:
    """The other reports that may or may not be in Stripe's sum."""
    may_be = (Standing.DUE, Standing.FAILED)
    return [
        line
        for line in lines
        if line.sent and line.standing in may_be and line.refund_id != refund_id
    ]


def _size(line: Line) -> tuple[int, int, str]:
    return line.amount, line.made_at_ms, line.refund_id


def _obstacle(refund_id: str, lines: Iterable[Line], *, slot_taken: bool) -> Waiting | None:
    """Why the sums cannot decide yet; ``None``: they can."""
    if slot_taken:
        return Waiting.SLOT
    for line in lines:
        if line.refund_id == refund_id:
            continue
        if line.standing is Standing.FAILED and line.sent:
            return Waiting.FAILED_REPORT
        if line.standing is not Standing.DUE:
            continue
        if line.sent or told_at_once(line):
            return Waiting.OTHER_REPORT
        if line.in_grace and not line.ours:
            return Waiting.OTHER_GRACE
    return None


def _explain(u: int, lines: Iterable[Line]) -> tuple[Line, ...] | None:
    """The refunds that sum up to ``u``, if only one multiset of amounts does; else ``None``.

    Refunds of equal amounts are interchangeable: succeeded ones are taken before pending ones,
    those older than this service before later ones, older before younger.
    """
    by_rank = sorted(
        (each for each in lines if _is_candidate(each)),
        key=lambda each: (
            each.standing is Standing.PENDING,
            each.standing is not Standing.BEFORE_ADOPTION,
            each.made_at_ms,
            each.refund_id,
        ),
    )
    amounts = _only_way(u, Counter(each.amount for each in by_rank))
    if amounts is None:
        return None
    found = []
    for line in by_rank:
        if amounts[line.amount] > 0:
            amounts[line.amount] -= 1
            found.append(line)
    return tuple(found)


def _is_candidate(line: Line) -> bool:
    return line.standing in _CANDIDATES and not (line.sent or line.forced or line.taken_back)


def _only_way(u: int, amounts: Counter[int]) -> Counter[int] | None:
    """The multiset out of ``amounts`` with the sum ``u``, if there is exactly one."""
    ways: dict[int, tuple[Counter[int], ...]] = {0: (Counter(),)}
    for amount, at_most in amounts.items():
        longer: dict[int, tuple[Counter[int], ...]] = {}
        for total, before in ways.items():
            for times in range(min(at_most, (u - total) // amount) + 1):
                reached = total + times * amount
                more = tuple(way + Counter({amount: times}) for way in before)
                longer[reached] = (longer.get(reached, ()) + more)[:2]
        if len(longer) > MOST_SUMS:
            return None
        ways = longer
    found = ways.get(u, ())
    return found[0] if len(found) == 1 else None
