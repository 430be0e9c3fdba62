"""Does Stripe know of a refund? Decided here and nowhere else, without input or output.

Stripe keeps one sum per Payment Record and cannot be asked for a reference, and others book there
too: under the processor's refund id, under a reference of their own, or not at all. So:

1. **The reference** decides what was ever *sent*: sent again until Stripe takes or refuses it.
2. **The sums** decide what was never sent: external refunds, and ours older than the grace.

::

    U = what Stripe shows as refunded − all that is reported − the excess that a person accepted

    U = 0   nothing is at Stripe that is not known here: tell
    U > 0   somebody booked something: known, if one set of amounts alone makes U
    U < 0   something is believed to be at Stripe that is not: it is owed again

Who waits for whom never runs in a circle: what the sums decide waits for what is told without
them; that waits only for a smaller report of its kind, or for nothing; a taken-back one waits only
for those that are not taken back. Time ends a grace; a person ends a failed report and a review.

The caller holds the record's lease; looks at the clock, reads the record, **then** the charge, and
imports what is new, in this order; and writes what was decided only if no refund of the record has
changed since. Amounts are in Stripe's minor units.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Standing(StrEnum):
    """Where one refund stands towards Stripe."""

    DUE = "due"
    UNDECIDED = "undecided"  # failed with cause cannot_tell and never sent: a candidate still
    FAILED = "failed"  # failed for any other reason
    PENDING = "pending"  # has not moved for certain yet
    BEFORE_ADOPTION = "before_adoption"  # not due, and nobody decided about it
    REPORTED = "reported"  # certain: accepted, refused as known, or said by a person
    BELIEVED = "believed"  # reported because of the sums alone
    CLOSED = "closed"  # nothing to tell, waived, or taken back before it was sent


class OthersReport(StrEnum):
    """How those who refund elsewhere report to Stripe."""

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
    """What rings when nothing is open and the sums disagree all the same."""

    STRIPE_HIGHER = "stripe_higher"
    STRIPE_LOWER = "stripe_lower"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One refund of a Payment Record, as far as telling Stripe goes.

    Attributes:
        amount: in minor units, above 0.
        sent: Stripe was asked at least once; stored before the call.
        forced: a person said that it is owed, so the sums are not asked.
        in_grace: whoever made it may be about to report it: when the clock was looked at *before*
            the record was read, this was younger than the grace. (What somebody reports between
            that read and the grace's end is not in the sum.) An external refund counts since it
            became due here; ours since it was sent to the processor, where others see it too.
        ours: asked for here; else it is external.
        taken_back: the processor shows the success as failed now.
        made_at_ms: orders equal amounts, older first.
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
    """Send it (again), under its reference."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Stays due; ask again later. Uses no receive, and rings after a day."""

    reason: Waiting
    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Known:
    """Stripe shows these: they become reported, cause ``by_sums``. Ask again for all others."""

    refund_ids: tuple[str, ...]
    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CannotTell:
    """A person must say: failed, cause ``cannot_tell``."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NothingToTell:
    """It owes nothing, or no longer: a due one becomes ``not_due``."""

    owe: tuple[str, ...] = ()


# ``owe``, everywhere: what is due again (beliefs that the sums no longer hold), in the same write.
Verdict = Tell | Wait | Known | CannotTell | NothingToTell


@dataclass(frozen=True, slots=True)
class ByReference:
    """Stripe had it already, under its reference: reported, for certain."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """A person must look: failed. ``no_room``: Stripe's record cannot take the amount."""

    no_room: bool


@dataclass(frozen=True, slots=True)
class Told:
    """A person may say that Stripe shows it: reported, for certain."""

    owe: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotShown:
    """Stripe does not show it, whoever says so: ``short`` minor units are missing."""

    short: int


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at the sums says where nobody asks for a report.

    Attributes:
        owe: due again: beliefs that do not hold, or what a person was asked about and need not be.
        known: Stripe shows these: reported, cause ``by_sums``.
        alarm: nothing is open, and Stripe's sum is not ours, twice.
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
    """U: what Stripe shows as refunded and nothing that is reported accounts for.

    Args:
        amount_refunded: the Payment Record's, in minor units.
        lines: every refund of the record.
        accepted_excess: what a person accepted as shown too much, in minor units.
    """
    reported = sum(line.amount for line in lines if line.standing in _COUNTED)
    return amount_refunded - reported - accepted_excess


def told_at_once(line: Line) -> bool:
    """Whether a due report is told without asking the sums, so the record need not be read."""
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
    """What to do about one report that is due.

    Args:
        refund_id: whose; one of ``lines``.
        lines: every refund of the record, read after the record was.
        u: ``unexplained`` of the record that was just read.
        seen_before: U as read the last time; ``None``: this is the first time.
        slot_taken: a processor refund may exist on the charge that no refund is bound to.
        all_listed: what others refunded is among ``lines``. Where the processor does not show that,
            Stripe's sum may be of a refund that nobody here has heard of.
        others_report: what the merchant says about those who refund elsewhere.
    """
    line = _line(refund_id, lines)
    if line.standing is not Standing.DUE:
        return NothingToTell()
    if line.taken_back:
        return _taken_back(line, lines, u, seen_before=seen_before)
    if told_at_once(line):
        return Tell()
    if line.in_grace and not line.ours:
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
    """What it means that Stripe refused a report that was sent (not for its key or its rate).

    Args:
        refund_id: whose report was refused; still due in ``lines``.
        lines: every refund of the record.
        amount_refunded: read after the refusal.
        captured: what the record could ever refund, read with it.
        accepted_excess: see ``unexplained``.
    """
    line = _line(refund_id, lines)
    u = unexplained(amount_refunded, lines, accepted_excess)
    believed = sum(each.amount for each in lines if each.standing is Standing.BELIEVED)
    if amount_refunded + line.amount <= captured:
        # There was room, so only the reference can be what was refused.
        if u + believed < line.amount:
            return Refused(no_room=False)
        return ByReference(owe=_beliefs(lines) if u < line.amount else ())
    others = _sent_and_open(refund_id, lines)
    # What is older than this service was told by others, if it was: before ours could be.
    older = [each for each in lines if each.standing is Standing.BEFORE_ADOPTION]
    if u >= line.amount + sum(other.amount for other in [*others, *older]):
        return ByReference()
    # A smaller one may still find room, or turn out to be known. A larger one cannot help.
    if any(told_at_once(other) and _size(other) < _size(line) for other in others):
        return Wait(Waiting.OTHER_REPORT)
    return Refused(no_room=True)


def told_by_person(refund_id: str, lines: Collection[Line], u: int) -> Told | NotShown:
    """Whether a person may say that Stripe shows this refund, and at whose expense.

    Where beliefs hold the amount, those that hold it are owed in the same transaction.
    """
    line = _line(refund_id, lines)
    short = line.amount - u - (line.amount if line.standing in _COUNTED else 0)
    owe: list[str] = []
    others = [each for each in lines if each.standing is Standing.BELIEVED and each is not line]
    # The one that fits best first; of equal ones the one that was believed last.
    for other in sorted(others, key=lambda each: (each.amount != short, -each.made_at_ms)):
        if short <= 0:
            break
        owe.append(other.refund_id)
        short -= other.amount
    return NotShown(short) if short > 0 else Told(tuple(owe))


def excess_to_accept(lines: Collection[Line], u: int, *, slot_taken: bool) -> int:
    """How much a person may accept as shown too much, in minor units; 0 while anything is open."""
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
    """What the sums say whenever record and charge were read, though no report is asked for.

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
        return Look()  # each of them rings as a failed report
    return Look(alarm=Alarm.STRIPE_HIGHER if u > 0 else Alarm.STRIPE_LOWER)


def _taken_back(  # noqa: PLR0911
    line: Line, lines: Collection[Line], u: int, *, seen_before: int | None
) -> Verdict:
    """A due report whose money the processor took back: it is never sent (again).

    If it was sent, the sums must say whether Stripe shows it: ``Known`` with a late failure.
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
    """Why the sums say nothing yet; ``None``: they do."""
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
    """The refunds that make ``u``, if only one multiset of amounts does; ``None``: a person says.

    Equal amounts are one and the same: succeeded ones are taken before pending ones, those from
    before adoption before later ones, older before younger.
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
