"""Whether Stripe knows of a refund: the stories of what others do, each with its verdict.

All on one payment of 100.00, captured; amounts in minor units.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from refund_bridge.domain.stripe_knows import (
    Alarm,
    ByReference,
    CannotTell,
    Known,
    Line,
    Look,
    NothingToTell,
    NotShown,
    OthersReport,
    Refused,
    Standing,
    Tell,
    Told,
    Verdict,
    Wait,
    Waiting,
    excess_to_accept,
    judge_refusal,
    look,
    told_at_once,
    told_by_person,
    unexplained,
    weigh,
)

CAPTURED = 10_000


def line(refund_id: str, amount: int, standing: Standing = Standing.DUE, **facts: Any) -> Line:
    return Line(refund_id=refund_id, amount=amount, standing=standing, **facts)


EXTERNAL = line("import", 3000)
YOUNG = replace(EXTERNAL, in_grace=True)
OURS = line("ours", 4000, ours=True, in_grace=True)
OLD = replace(OURS, in_grace=False)  # ours, and nobody told Stripe for longer than the grace
SENT = replace(OURS, sent=True)
BACK = replace(SENT, taken_back=True)


def at(standing: Standing, of: Line) -> Line:
    return replace(of, standing=standing)


def verdict(
    lines: tuple[Line, ...], shown: int, *, twice: bool = True, accepted: int = 0, **named: Any
) -> Verdict:
    """The verdict on the first of the lines; ``twice``: the sum was read twice alike."""
    u = unexplained(shown, lines, accepted)
    named = {"seen_before": u if twice else None, "slot_taken": False, "all_listed": True, **named}
    return weigh(lines[0].refund_id, lines, u, **named)


class Story(NamedTuple):
    what: str
    lines: tuple[Line, ...]  # the report that is asked for comes first
    shown: int  # what Stripe shows as refunded
    right: Verdict
    twice: bool = True


TWO = (line("older", 1000, made_at_ms=1), line("newer", 1000, made_at_ms=2))
TOLD = replace(SENT, refund_id="told", standing=Standing.REPORTED)
BELIEVED = line("believed", 1000, Standing.BELIEVED)
OLD_TOLD_BY_TICKET = line("old", 3000, Standing.BEFORE_ADOPTION)

STORIES = [
    Story("an external refund that nobody reports is told", (EXTERNAL,), 0, Tell()),
    Story("whoever made it is given time to report it", (YOUNG,), 0, Wait(Waiting.GRACE)),
    Story("staff reported it under a ticket", (EXTERNAL,), 3000, Known(("import",))),
    Story("one read is not believed", (EXTERNAL,), 3000, Wait(Waiting.READ_AGAIN), twice=False),
    Story("one read is enough to tell what it does not show", (EXTERNAL,), 0, Tell(), twice=False),
    Story("staff reported it beside a belief", (EXTERNAL, BELIEVED), 4000, Known(("import",))),
    Story("ours is told without a look at the sums", (OURS,), 4000, Tell()),
    Story("ours was reported by hand while Stripe was down", (OLD,), 4000, Known(("ours",))),
    Story("what was sent is sent again, whatever the sums say", (SENT,), 4000, Tell()),
    Story(
        "a ticket is not weighed while a report of ours is under way",
        (EXTERNAL, SENT),
        3000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Story(
        "a ticket is not weighed while ours is about to be told",
        (EXTERNAL, OURS),
        3000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Story(
        "nor while one is under way that is listed after what Stripe knows",
        (EXTERNAL, TOLD, SENT),
        7000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Story(
        "nor while one that was sent and taken back is open",
        (EXTERNAL, BACK),
        3000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Story(
        "nor while somebody may still report another one",
        (EXTERNAL, line("young", 2000, in_grace=True)),
        3000,
        Wait(Waiting.OTHER_GRACE),
    ),
    Story(
        "nor while a report that was sent waits for a person",
        (EXTERNAL, at(Standing.FAILED, SENT)),
        4000,
        Wait(Waiting.FAILED_REPORT),
    ),
    Story(
        "one that was taken back before it was sent keeps nobody waiting, young as it is",
        (EXTERNAL, replace(OURS, taken_back=True)),
        3000,
        Known(("import",)),
    ),
    Story(
        "nor does one that failed before it was sent",
        (EXTERNAL, at(Standing.FAILED, OURS)),
        3000,
        Known(("import",)),
    ),
    Story("of two equal ones, one reported, the older is known", TWO, 1000, Known(("older",))),
    Story("and so it is if the younger is asked for", TWO[::-1], 1000, Known(("older",))),
    Story("both are known if both are reported", TWO, 2000, Known(("older", "newer"))),
    Story("the younger is then told", (TWO[1], at(Standing.BELIEVED, TWO[0])), 1000, Tell()),
    Story(
        "two old reports of ours do not wait for each other",
        (OLD, replace(OLD, refund_id="b")),
        4000,
        Known(("b",)),
    ),
    Story(
        "an old one, told by a ticket years ago, explains the sum of an equal new one",
        (EXTERNAL, OLD_TOLD_BY_TICKET),
        3000,
        Known(("old",)),
    ),
    Story(
        "the new one is then told",
        (EXTERNAL, at(Standing.BELIEVED, OLD_TOLD_BY_TICKET)),
        3000,
        Tell(),
    ),
    Story(
        "what is pending may have been reported already",
        (EXTERNAL, line("pending", 2000, Standing.PENDING)),
        2000,
        Tell(),
    ),
    Story(
        "what moved is taken before what is pending",
        (replace(EXTERNAL, made_at_ms=1), line("earlier", 3000, Standing.PENDING)),
        3000,
        Known(("import",)),
    ),
    Story(
        "a person was asked about another one: it still explains",
        (EXTERNAL, line("asked", 2000, Standing.UNDECIDED)),
        2000,
        Known(("asked",)),
    ),
    Story("no set of refunds makes the sum", (EXTERNAL,), 500, CannotTell()),
    Story(
        "two sets of refunds make the sum",
        (EXTERNAL, line("b", 2000), line("c", 1000)),
        3000,
        CannotTell(),
    ),
    Story(
        "a belief that the sum does not hold is owed again",
        (EXTERNAL, BELIEVED),
        0,
        Wait(Waiting.LOWER, owe=("believed",)),
    ),
    Story(
        "Stripe shows less than what is certain",
        (EXTERNAL, line("told", 1000, Standing.REPORTED)),
        0,
        CannotTell(),
    ),
    Story("a person says that it is owed", (replace(OLD, forced=True),), 4000, Tell()),
    Story("taken back before it was sent", (replace(OURS, taken_back=True),), 0, NothingToTell()),
    Story("taken back, sent, and Stripe does not show it", (BACK,), 0, NothingToTell()),
    Story("taken back, sent, and Stripe shows it", (BACK,), 4000, Known(("ours",))),
    Story(
        "taken back and sent, while another report is under way",
        (BACK, replace(SENT, refund_id="other")),
        4000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Story(
        "two that were taken back do not wait for each other",
        (BACK, replace(BACK, refund_id="other")),
        4000,
        CannotTell(),
    ),
    Story(
        "taken back, and a belief that the sum does not hold",
        (BACK, BELIEVED),
        0,
        Wait(Waiting.LOWER, owe=("believed",)),
    ),
    Story("taken back, and a belief that the sum holds", (BACK, BELIEVED), 1000, NothingToTell()),
    Story("taken back, shown beside a belief", (BACK, BELIEVED), 5000, Known(("ours",))),
    Story("taken back, shown beside what is certain", (BACK, TOLD), 8000, Known(("ours",))),
    Story("taken back, and Stripe shows too little", (BACK, TOLD), 3000, NothingToTell()),
    Story("taken back, and Stripe shows a cent that nobody knows", (BACK,), 1, CannotTell()),
    Story(
        "taken back, while the sum may be that of another one that was sent and failed",
        (BACK, replace(SENT, refund_id="failed", standing=Standing.FAILED)),
        4000,
        CannotTell(),
    ),
    Story(
        "taken back, one read is not believed", (BACK,), 0, Wait(Waiting.READ_AGAIN), twice=False
    ),
    Story("what is reported owes nothing", (at(Standing.REPORTED, OURS),), 4000, NothingToTell()),
]


def test_a_sum_at_stripe_is_not_believed_where_others_refunds_are_not_listed() -> None:
    # Given a report of ours that waited for long, of the amount that Stripe shows
    assert verdict((OLD,), 4000) == Known(("ours",))
    # When the processor does not show what others refunded, then it may be theirs: a person says
    assert verdict((OLD,), 4000, all_listed=False) == CannotTell()


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.what)
def test_every_story_has_its_verdict(story: Story) -> None:
    assert verdict(story.lines, story.shown, twice=story.twice) == story.right


def test_nothing_is_weighed_while_a_processor_refund_is_not_known() -> None:
    assert verdict((EXTERNAL,), 3000, slot_taken=True) == Wait(Waiting.SLOT)


def test_a_merchant_who_keeps_to_the_processors_ids_is_told_by_reference_alone() -> None:
    # When the stage's setting says so
    by_id = OthersReport("by_processor_id")
    assert verdict((EXTERNAL,), 3000, others_report=by_id) == Tell()
    assert verdict((YOUNG,), 3000, others_report=by_id) == Wait(Waiting.GRACE)
    # And else by the sums
    anyhow = OthersReport("anyhow")
    assert verdict((EXTERNAL,), 3000, others_report=anyhow) == Known(("import",))


def test_an_accepted_excess_explains_itself() -> None:
    assert verdict((EXTERNAL,), 500, accepted=500) == Tell()


def test_what_was_taken_back_or_was_not_due_is_not_told_at_once() -> None:
    assert told_at_once(SENT)
    assert told_at_once(OURS)
    assert not told_at_once(BACK)
    assert not told_at_once(YOUNG)
    assert not told_at_once(at(Standing.REPORTED, SENT))


@pytest.mark.parametrize("decided", ["sent", "forced", "taken_back"])
def test_the_sum_is_not_explained_by_what_the_sums_do_not_decide(decided: str) -> None:
    # Given another refund that makes Stripe's sum
    other = line("other", 2000, Standing.PENDING)
    assert verdict((EXTERNAL, other), 2000) == Tell()
    # When its reference, a person or the processor has decided about it, then it explains nothing
    facts: dict[str, Any] = {decided: True}
    assert verdict((EXTERNAL, replace(other, **facts)), 2000) == CannotTell()


@pytest.mark.parametrize(("ones", "large", "searched"), [(199, 99, True), (58, 338, False)])
def test_twenty_thousand_sums_are_searched_and_more_are_for_a_person(
    ones: int, large: int, searched: bool
) -> None:
    # Given so many refunds of one cent, and so many of one cent more than those together
    small = [line(f"1-{n:03}", 1) for n in range(ones)]
    lines = (*small, *(line(f"2-{n:03}", ones + 1) for n in range(large)))
    # When Stripe shows them all, then 200 × 100 sums are searched, and 59 × 339 are not
    everything = Known(tuple(each.refund_id for each in lines))
    right = everything if searched else CannotTell()
    assert verdict(lines, sum(each.amount for each in lines)) == right


@pytest.mark.parametrize(
    ("small", "larger"),
    [([2**20 + 1], [2**20 + 2**n for n in range(1, 18)]), ([1] * 199, [1000] * 100)],
    ids=["each another amount", "all the same amount"],
)
def test_refunds_that_are_larger_than_the_sum_are_no_reason_to_ask_a_person(
    small: list[int], larger: list[int]
) -> None:
    # Given refunds that Stripe's sum shows, and so many larger ones that nobody could search them
    shown = [line(f"1-{n:03}", amount) for n, amount in enumerate(small)]
    others = [line(f"2-{n:03}", amount) for n, amount in enumerate(larger)]
    # Then those that it shows are known
    known = Known(tuple(each.refund_id for each in shown))
    assert verdict((*shown, *others), sum(small)) == known


class Refusal(NamedTuple):
    what: str
    lines: tuple[Line, ...]  # the refused one first
    shown: int
    right: ByReference | Wait | Refused


LARGE = line("large", 6000, ours=True, sent=True)
OLDER, NEWER = (
    replace(SENT, refund_id="older", made_at_ms=1),
    replace(SENT, refund_id="newer", made_at_ms=2),
)
REFUSALS = [
    Refusal("others reported it under its reference", (SENT,), 4000, ByReference()),
    Refusal("there was room, and Stripe shows nothing of it", (SENT,), 0, Refused(no_room=False)),
    Refusal(
        "a ticket for its equal was taken for another one",
        (SENT, line("believed", 4000, Standing.BELIEVED)),
        4000,
        ByReference(owe=("believed",)),
    ),
    Refusal(
        "Stripe shows it beside what was believed",
        (SENT, BELIEVED),
        5000,
        ByReference(),
    ),
    Refusal(
        "there was just room, and Stripe shows nothing of it",
        (SENT, replace(LARGE, standing=Standing.REPORTED)),
        6000,
        Refused(no_room=False),
    ),
    Refusal(
        "a full refund, taken by an earlier try",
        (line("all", 10_000, sent=True),),
        10_000,
        ByReference(),
    ),
    Refusal("both were taken by earlier tries", (SENT, LARGE), 10_000, ByReference()),
    Refusal(
        "no room, and which of two was taken is open: the smaller is asked first",
        (LARGE, SENT),
        6000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Refusal(
        "no room, and of two equal ones the older is asked first",
        (NEWER, OLDER),
        7000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Refusal("so the older does not wait", (OLDER, NEWER), 7000, Refused(no_room=True)),
    Refusal(
        "no room, and of two that were made at once the first by id is asked first",
        (SENT, replace(SENT, refund_id="first")),
        7000,
        Wait(Waiting.OTHER_REPORT),
    ),
    Refusal(
        "no room, and only a larger one is open",
        (replace(SENT, amount=5000), LARGE),
        6000,
        Refused(no_room=True),
    ),
    Refusal(
        "no room, and the smaller one was taken back",
        (LARGE, BACK),
        6000,
        Refused(no_room=True),
    ),
    Refusal(
        "no room, and what is shown may be older than this service",
        (SENT, line("older", 6000, Standing.BEFORE_ADOPTION)),
        8000,
        Refused(no_room=True),
    ),
    Refusal(
        "no room, and both it and what is older are shown",
        (LARGE, line("older", 4000, Standing.BEFORE_ADOPTION)),
        10_000,
        ByReference(),
    ),
    Refusal(
        "the processor paid more than was captured",
        (SENT, line("told", 10_000, Standing.REPORTED)),
        10_000,
        Refused(no_room=True),
    ),
]


@pytest.mark.parametrize("story", REFUSALS, ids=lambda story: story.what)
def test_every_refusal_has_its_meaning(story: Refusal) -> None:
    judged = judge_refusal(
        story.lines[0].refund_id,
        story.lines,
        amount_refunded=story.shown,
        captured=CAPTURED,
        accepted_excess=0,
    )
    assert judged == story.right


class Word(NamedTuple):
    what: str
    lines: tuple[Line, ...]  # the one that a person says is told comes first
    u: int
    right: Told | NotShown


ASKED = line("asked", 3000, Standing.UNDECIDED)
FITS = line("fits", 3000, Standing.BELIEVED, made_at_ms=1)
WORDS = [
    Word("Stripe shows it", (ASKED,), 3000, Told()),
    Word("Stripe does not show it", (ASKED,), 1000, NotShown(2000)),
    Word("a belief holds the amount", (ASKED, FITS), 0, Told(("fits",))),
    Word(
        "of two beliefs the one that fits",
        (ASKED, line("large", 5000, Standing.BELIEVED, made_at_ms=2), FITS),
        0,
        Told(("fits",)),
    ),
    Word(
        "of two equal ones the younger",
        (ASKED, FITS, replace(FITS, refund_id="young", made_at_ms=2)),
        0,
        Told(("young",)),
    ),
    Word(
        "two beliefs hold it together",
        (ASKED, line("a", 1000, Standing.BELIEVED), line("b", 2000, Standing.BELIEVED)),
        0,
        Told(("a", "b")),
    ),
    Word("a belief becomes certain", (FITS,), 0, Told()),
    Word("a belief does not make room for itself", (FITS,), -1000, NotShown(1000)),
    Word("what is certain makes no room", (ASKED, TOLD), 0, NotShown(3000)),
    Word("Stripe shows a cent less", (ASKED,), 2999, NotShown(1)),
    Word("a belief holds the cent that is missing", (ASKED, FITS), 2999, Told(("fits",))),
]


@pytest.mark.parametrize("story", WORDS, ids=lambda story: story.what)
def test_a_persons_word_is_held_against_the_sum(story: Word) -> None:
    assert told_by_person(story.lines[0].refund_id, story.lines, story.u) == story.right


class Sight(NamedTuple):
    what: str
    lines: tuple[Line, ...]
    u: int
    right: Look
    twice: bool = True
    all_listed: bool = True


REPORTED = at(Standing.REPORTED, OURS)
SIGHTS = [
    Sight("all is as it should be", (REPORTED,), 0, Look()),
    Sight("somebody reported what was told", (REPORTED,), 4000, Look(alarm=Alarm.STRIPE_HIGHER)),
    Sight("one read is not believed", (REPORTED,), 4000, Look(), twice=False),
    Sight("Stripe shows a cent too much", (REPORTED,), 1, Look(alarm=Alarm.STRIPE_HIGHER)),
    Sight("Stripe lost one", (REPORTED,), -4000, Look(alarm=Alarm.STRIPE_LOWER)),
    Sight("a belief does not hold", (FITS,), -3000, Look(owe=("fits",)), twice=False),
    Sight("a belief holds", (FITS,), 0, Look()),
    Sight("nobody need be asked any more", (ASKED,), 0, Look(owe=("asked",))),
    Sight("nor about what was taken back", (replace(ASKED, taken_back=True),), 0, Look()),
    Sight("a ticket came after a person was asked", (ASKED,), 3000, Look(known=("asked",))),
    Sight(
        "a ticket may be of what nobody lists",
        (OLD_TOLD_BY_TICKET,),
        3000,
        Look(alarm=Alarm.STRIPE_HIGHER),
        all_listed=False,
    ),
    Sight("a person is asked already", (ASKED,), 500, Look()),
    Sight("an old one was told by a ticket", (OLD_TOLD_BY_TICKET,), 3000, Look(known=("old",))),
    Sight("what is pending was reported", (at(Standing.PENDING, OURS),), 4000, Look()),
    Sight("a report is due and decides itself", (EXTERNAL,), 500, Look()),
    Sight("a report that was sent waits for a person", (at(Standing.FAILED, SENT),), 4000, Look()),
]


@pytest.mark.parametrize("story", SIGHTS, ids=lambda story: story.what)
def test_every_look_has_its_answer(story: Sight) -> None:
    seen = story.u if story.twice else None
    asked: dict[str, Any] = {
        "seen_before": seen,
        "slot_taken": False,
        "all_listed": story.all_listed,
    }
    assert look(story.lines, story.u, **asked) == story.right


@pytest.mark.parametrize(
    "standing", [Standing.DUE, Standing.UNDECIDED, Standing.FAILED, Standing.PENDING]
)
def test_no_excess_is_accepted_while_anything_is_open(standing: Standing) -> None:
    assert excess_to_accept((at(standing, EXTERNAL),), 500, slot_taken=False) == 0


def test_only_what_stripe_shows_too_much_is_accepted() -> None:
    assert excess_to_accept((REPORTED,), 500, slot_taken=False) == 500
    assert excess_to_accept((REPORTED,), 500, slot_taken=True) == 0
    assert excess_to_accept((REPORTED,), -500, slot_taken=False) == 0
