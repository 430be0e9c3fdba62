"""Draws worlds from seeds."""

from dataclasses import replace
from random import Random

from refund_bridge.domain.refund import STRIPE
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.stripe_knows import OthersReport
from refund_bridge.ports.processor import Capabilities
from refund_bridge.processors.registry import OF_RECORDS
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.settling.settling import AfterHold
from tests.fakes.abilities import (
    ABILITIES,
    keeps_keys,
    names_where,
    refunds_unlinked,
    shows_payments,
)
from tests.simulation.faults import Fault
from tests.simulation.options import LONE_RECORD, ODD, OURS, UNKNOWN_METHOD, Options, Unlinked, Wish
from tests.simulation.others import (
    HOUR_MS,
    MINUTE_MS,
    NOBODY,
    SECOND_MS,
    Booking,
    Foreign,
    Name,
    Others,
    Theme,
    clock_off_ms,
    draw_others,
    in_dashboard,
    themes,
)
from tests.simulation.profiles import MAY_NAME_INSTRUCTIONS, NAMES


def draw(seed: int, processor: str | None = None) -> Options:
    """The world of ``seed``; with ``processor``, all payments are at that processor."""
    return _at_processors(_with_others(_world(seed)), processor)


def _world(seed: int) -> Options:
    """The parts of a world that do not depend on the processors."""
    random = Random(seed)  # noqa: S311 - reproducible on purpose
    more = Random(seed ^ 0xB05)  # noqa: S311 - as above
    payments = random.choice((1, 1, 1, 2))
    window_ms = random.choice((0, 2_000, MINUTE_MS, 30 * MINUTE_MS))
    trouble_ms = random.choice((5 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS))
    foreign_equal = random.random() < 0.25
    wishes = tuple(
        wish
        for number in range(random.choice((1, 1, 2, 2, 3, 4)))
        for wish in _by_event(more, _wishes(random, number, payments, window_ms))
    )
    amounts = tuple(w.amount for w in wishes if w.amount) if foreign_equal else ODD
    return Options(
        seed=seed,
        payments=payments,
        wishes=wishes,
        foreign=_failed_before(random, wishes)
        + tuple(
            Foreign(
                payment=random.randrange(payments),
                amount=random.choice(amounts or ODD),
                at_ms=random.choice((0, random.randrange(2_000), random.randrange(2 * trouble_ms))),
                booking=Booking(Name.PROCESSOR_REFUND, MINUTE_MS)
                if random.random() < 0.3
                else None,
            )
            for _ in range(random.choice((0, 0, 1, 2)))
        ),
        foreign_equal=foreign_equal,
        rate=random.choice((0.0, 0.01, 0.03, 0.1, 0.25)),
        faults=_swarm(random),
        trouble_ms=trouble_ms,
        outages=_outages(random, trouble_ms),
        hold_ms=random.choice((2 * HOUR_MS, 2 * HOUR_MS, 2 * HOUR_MS, 24 * HOUR_MS)),
        after_hold=random.choice((AfterHold.REVIEW, AfterHold.REVIEW, AfterHold.FAILED)),
        verify=random.choice((VerifyCharge.ALWAYS,) * 4 + (VerifyCharge.FIRST, VerifyCharge.NEVER)),
        skew_ms=random.choice((0, 0, 500, 3_000)),
        processor_skew_ms=random.choice((0, 0, 2_000, -2_000)),
        checks_amounts=random.random() < 0.1,
        one_refund_only=random.random() < 0.05,
        odd_conduct=random.choice((0.0, 0.0, 0.3, 0.8)),
        takes_back=random.random() < 0.5,
        webhook_rate=random.choice((0.0, 0.5, 1.0, 2.0)),
        double_runs=random.random() < 0.3,
        max_receives=random.choice((2, 4, 10)),
        redrives=random.random() < 0.5,
        others=_reported(random),
        forgets_keys=random.random() < 0.3,
        readers=random.choice((0, 0, 0, 1, 5)),
        links_ms=_links(more, payments, trouble_ms),
        sweeps=more.choice((0, 0, 1, 3)),
    )


def _reported(random: Random) -> Others:
    """Sometimes an older integration reports half of all refunds, also ours."""
    if random.random() >= 0.1:
        return NOBODY
    waits = (0, 5 * SECOND_MS, HOUR_MS)
    return Others(books=0.5, bookings=tuple(Booking(Name.PROCESSOR_REFUND, wait) for wait in waits))


def _with_others(options: Options) -> Options:
    """Add to the world what others do in it."""
    random = Random(options.seed ^ 0x07E5)  # noqa: S311 - reproducible on purpose
    about = themes(random)
    others = draw_others(random, options.others, about, options.trouble_ms)
    amounts = [wish.amount for wish in options.wishes if wish.amount]
    made = in_dashboard(random, about, options.payments, amounts, options.trouble_ms)
    made = options.foreign + made
    if others.reported is OthersReport.BY_PROCESSOR_ID:
        made = tuple(_by_its_id(one) for one in made)
    options = replace(options, others=others, foreign=made)
    if Theme.CLOCKS in about:
        # If times are wrong by hours, they cannot show that an instruction was not executed.
        options = replace(
            options, processor_skew_ms=clock_off_ms(random), after_hold=AfterHold.REVIEW
        )
    if Theme.CHANGED_MIND in about:
        # Somebody asks for the rest, after refunds have changed their states again.
        late = replace(
            random.choice(options.wishes),
            key="key-late",
            amount=random.choice((None, 6000, 10_000)),
            start_ms=random.randrange(2 * options.trouble_ms),
            tries=2,
        )
        # And an external refund may change before it is reported.
        theirs = Foreign(payment=late.payment, amount=1000, at_ms=random.randrange(5 * MINUTE_MS))
        options = replace(
            options,
            odd_conduct=max(options.odd_conduct, 0.5),
            turns_down=0.3,
            webhook_rate=3.0 if others.flips else max(options.webhook_rate, 1.0),
            wishes=(*options.wishes, late),
            foreign=(*options.foreign, theirs),
        )
        if random.random() < 0.5:
            options = replace(
                _failing_beside(random, options, before=True), loses_answers=0.9, turns_down=0.0
            )
    if Theme.KEY_FORM in about:
        # Some instructions have an unknown result when the form of keys changes.
        begin_ms = min(wish.start_ms for wish in options.wishes) + random.randrange(2 * MINUTE_MS)
        others = replace(others, key_form=(begin_ms, begin_ms + 3 * HOUR_MS))
        options = replace(options, others=others, loses_answers=0.6)
    if Theme.CAPTURED_OFF in about:
        options = _off_when_its_turn_comes(random, options)
    if Theme.COLLEAGUE in about and random.random() < 0.5:
        options = _failing_beside(random, options)
    if {Theme.ODD_LOOKS, Theme.OTHER_AMOUNT} & about:
        options = replace(options, odd_conduct=0.8)
    return options


def _off_when_its_turn_comes(random: Random, options: Options) -> Options:
    """Stripe shows a wrong captured amount just after a scheduled refund was accepted."""
    first = random.choice(options.wishes)
    begin_ms = first.start_ms + random.randrange(1_000, 40_000)
    length_ms = random.choice((3, 40)) * MINUTE_MS
    wishes = tuple(
        replace(wish, payment=0, refund_type=RefundType.SCHEDULED)
        if wish.key == first.key
        else wish
        for wish in options.wishes
    )
    others = replace(options.others, captured_off=(begin_ms, begin_ms + length_ms))
    return replace(options, wishes=wishes, others=others)


def _failing_beside(random: Random, options: Options, *, before: bool = False) -> Options:
    """Answers are lost, and an external refund of the same amount fails after we ask for ours.

    With ``before`` it fails before that, so that it is first seen as failed.
    """
    wish = random.choice(options.wishes)
    if wish.amount is None:
        return options
    at_ms = 0 if before else wish.start_ms + random.randrange(100, MINUTE_MS)
    beside = Foreign(payment=wish.payment, amount=wish.amount, at_ms=at_ms, fails=True)
    return replace(options, loses_answers=0.5, foreign=(*options.foreign, beside))


def _by_its_id(foreign: Foreign) -> Foreign:
    told = foreign.booking
    return (
        foreign
        if told is None
        else replace(foreign, booking=replace(told, name=Name.PROCESSOR_REFUND))
    )


def _at_processors(options: Options, processor: str | None) -> Options:
    """Add to the world its processors, and faults that their abilities make possible."""
    random = Random(options.seed ^ 0xD00)  # noqa: S311 - reproducible on purpose
    names, homes = NAMES, _homes(random, options.payments)
    if processor is not None:
        names, homes = (processor,), ((processor,),)
    elif Theme.CHANGED_MIND in options.others.themes:
        # A refused instruction that is executed after all can only be found if refunds show their
        # instructions. An older failed refund can only be confused with an unknown one if they do
        # not.
        kind = _shows_payments_only if options.loses_answers else _shows_instructions
        homes = ((random.choice(names_where(kind)),),)
    here = {name for named in homes for name in named}
    by_key = all(keeps_keys(ABILITIES[name]) for name in here)
    lost = random.choice((0.0, 0.0, 0.7))
    reads_keys, names_instructions = random.random() >= 0.1, random.random() < 0.5
    alike = _alike(random, options) if names_instructions and here <= MAY_NAME_INSTRUCTIONS else ()
    wishes = _asked(random, options.wishes, homes, names)
    if here & set(names_where(refunds_unlinked)):
        wishes = _some_unlinked(random, wishes, options.payments, names)
    return replace(
        options,
        homes=homes,
        wishes=wishes,
        foreign=options.foreign + alike,
        # Only with keys can settling see that an instruction was lost, and send it again.
        loses_instructions=lost if by_key else 0.0,
        loses_answers=0.5 if alike else options.loses_answers,
        reads_keys=reads_keys,
        names_instructions=names_instructions,
    )


def _shows_instructions(can: Capabilities) -> bool:
    return keeps_keys(can) and shows_payments(can)


def _shows_payments_only(can: Capabilities) -> bool:
    return shows_payments(can) and not keeps_keys(can)


def _homes(random: Random, payments: int) -> tuple[tuple[str, ...], ...]:
    """One processor for all payments, or one for each; sometimes a record names two."""
    kind, one = random.random(), random.choice(NAMES)
    if kind < 0.85:
        return ((one,),)
    if kind < 0.92:
        return tuple((random.choice(NAMES),) for _ in range(payments))
    if one == STRIPE:
        return ((one,),)  # the record of a payment that Stripe took names no other processor
    other = random.choice([name for name in OF_RECORDS if name != one])
    return tuple((one, other)[: random.choice((1, 2, 2))] for _ in range(payments))


def _alike(random: Random, options: Options) -> tuple[Foreign, ...]:
    """Sometimes somebody refunds the same amount a little later: only ids show which is ours."""
    wish = random.choice(options.wishes)
    if wish.amount is None or random.random() < 0.5:
        return ()
    at_ms = wish.start_ms + random.randrange(MINUTE_MS)
    return (Foreign(payment=wish.payment, amount=wish.amount, at_ms=at_ms),)


def _asked(
    random: Random,
    wishes: tuple[Wish, ...],
    homes: tuple[tuple[str, ...], ...],
    names: tuple[str, ...],
) -> tuple[Wish, ...]:
    """Callers name a processor if the record names two, and sometimes without a reason.

    ``names``: the processors that they may name.
    """
    by_key: dict[str, str | None] = {}
    for wish in wishes:
        named = homes[wish.payment % len(homes)]
        share = 0.7 if len(named) > 1 else 0.05
        asked = random.choice(named) if random.random() < share else None
        # Sometimes they name a processor that has nothing to do with the payment.
        astray = random.random() < 0.02
        by_key.setdefault(wish.key, random.choice(names) if astray else asked)
    return tuple(replace(wish, processor=by_key[wish.key]) for wish in wishes)


def _some_unlinked(
    random: Random, wishes: tuple[Wish, ...], payments: int, names: tuple[str, ...]
) -> tuple[Wish, ...]:
    """Make some of the wishes refunds without a payment."""
    share = random.choice((0.0, 0.5, 1.0))
    keys = {wish.key for wish in wishes if wish.amount is not None and random.random() < share}
    able = tuple(name for name in names_where(refunds_unlinked) if name in names)
    doors = (*able * 12, *names)  # sometimes a processor that cannot make such a refund
    places = {key: (random.choice(doors), _unlinked(random, payments)) for key in sorted(keys)}
    return tuple(
        replace(wish, by_intent=False, processor=places[wish.key][0], unlinked=places[wish.key][1])
        if wish.key in places
        else wish
        for wish in wishes
    )


def _unlinked(random: Random, payments: int) -> Unlinked:
    method = random.choice(("card-0",) * 8 + ("card-1", "account-0", UNKNOWN_METHOD))
    records = (None, LONE_RECORD, f"pr_{random.randrange(payments)}")
    return Unlinked(method, random.choice(records))


def _wishes(random: Random, number: int, payments: int, window_ms: int) -> list[Wish]:
    """A wish, whose key may be sent several times: at once, later, or with another body."""
    one = Wish(
        key=f"key-{number}",
        payment=random.randrange(payments),
        amount=random.choice(OURS),
        refund_type=random.choice((RefundType.INSTANT,) * 3 + (RefundType.SCHEDULED,)),
        start_ms=random.randrange(window_ms + 1),
        tries=random.choice((1, 2, 5)),
        by_intent=random.random() < 0.15,
    )
    start_ms = random.choice((one.start_ms, random.randrange(window_ms + 1), 2 * HOUR_MS))
    same = Wish(
        key=one.key,
        payment=one.payment,
        amount=one.amount,
        refund_type=one.refund_type,
        start_ms=start_ms,
        tries=random.choice((1, 2)),
        by_intent=one.by_intent,
    )
    other = Wish(
        key=one.key,
        payment=one.payment,
        amount=700,
        refund_type=one.refund_type,
        start_ms=start_ms,
        tries=1,
    )
    kind = random.random()
    if kind < 0.3:
        return [one, same]
    return [one, other] if kind < 0.4 else [one]


def _by_event(random: Random, wishes: list[Wish]) -> list[Wish]:
    """Sometimes one of the wishes, or each, is sent as an event."""
    return [
        replace(one, by_event=True, refund_type=RefundType.SCHEDULED)
        if random.random() < 0.2
        else one
        for one in wishes
    ]


def _links(random: Random, payments: int, trouble_ms: int) -> tuple[int | None, ...]:
    """Sometimes a PaymentIntent names its record late, or only after a person corrects it."""
    if random.random() < 0.7:
        return ()
    return tuple(
        random.choice((0, random.randrange(2 * trouble_ms), None)) for _ in range(payments)
    )


def _failed_before(random: Random, wishes: tuple[Wish, ...]) -> tuple[Foreign, ...]:
    """Sometimes a dashboard refund of an amount that we ask for has failed before we begin."""
    wish = random.choice(wishes)
    if wish.amount is None or random.random() >= 0.15:
        return ()
    return (Foreign(payment=wish.payment, amount=wish.amount, at_ms=0, fails=True),)


def _swarm(random: Random) -> frozenset[Fault]:
    """Some kinds of faults: all, most or few of them."""
    share = random.choice((1.0, 0.6, 0.25))
    return frozenset(fault for fault in Fault if random.random() < share)


def _outages(random: Random, trouble_ms: int) -> tuple[tuple[str, int, int], ...]:
    outages = []
    for name in ("processor", "reports", "lists"):
        if random.random() < 0.12:
            start_ms = random.randrange(trouble_ms)
            end_ms = start_ms + random.choice((10 * MINUTE_MS, 3 * HOUR_MS, 26 * HOUR_MS))
            outages.append((name, start_ms, end_ms))
    return tuple(outages)
