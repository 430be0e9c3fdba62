"""What a world is like: everything here is drawn from its seed."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from refunds.link import VerifyCharge
from refunds.refund import RefundType
from refunds.settle import AfterHold
from tests.fakes.abilities import ABILITIES, keeps_keys, names_where, refunds_unlinked
from tests.simulation.faults import Fault
from tests.simulation.profiles import MAY_NAME_ORDERS, NAMES

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
CAPTURED: Final = 10_000
# Amounts of ours are multiples of 100, so that no dashboard refund of an odd one equals them.
OURS: Final = (1000, 2500, 2500, 4000, 6000, 10_000, None)
ODD: Final = (37, 1037, 3037)
# A Payment Record that is told of refunds though no processor's payment stands behind it.
LONE_RECORD: Final = "pr_lone"
UNKNOWN_METHOD: Final = "card-9"


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Where the money of a refund without a payment is to go, and who is told of it."""

    method: str
    report_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A refund that somebody wants, under one key, asked for ``tries`` times at most.

    With ``by_event`` it is asked for over the bus, and so always scheduled. ``processor`` is what
    the caller names, if anything; with ``unlinked`` there is no payment.
    """

    key: str
    payment: int
    amount: int | None
    refund_type: RefundType
    start_ms: int
    tries: int
    by_intent: bool = False
    by_event: bool = False
    processor: str | None = None
    unlinked: Unlinked | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A refund in the processor's dashboard; it may fail, or be told to Stripe by others."""

    payment: int
    amount: int
    at_ms: int
    reported: bool
    fails: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """One world.

    Attributes:
        foreign_equal: whether dashboard refunds may have an amount that we also ask for.
        trouble_ms: when faults stop.
        outages: from when to when which provider's look-ups fail.
        webhook_rate: how many webhooks come for a movement, on average.
        odd_conduct: how often a refund is not simply done at once.
        readers: how many people per wish read its refund, and ask for a look at the processor.
        links_ms: when each payment's PaymentIntent comes to name its record; ``None``: when a
            person mends it, after the trouble; not there: from the beginning.
        sweeps: how often all payments are swept during the trouble.
        homes: for each payment, the processors that its Payment Record names; the first has it.
        loses_orders: how often an order is lost on its way, whatever else goes wrong.
        loses_answers: how often its answer is.
        reads_keys: whether a processor that keeps keys can be asked for one.
        names_orders: whether a refund shows whose order it is where that is left open.
    """

    seed: int
    payments: int
    wishes: tuple[Wish, ...]
    foreign: tuple[Foreign, ...]
    foreign_equal: bool
    rate: float
    faults: frozenset[Fault]
    trouble_ms: int
    outages: tuple[tuple[str, int, int], ...]
    hold_ms: int
    after_hold: AfterHold
    verify: VerifyCharge
    skew_ms: int
    processor_skew_ms: int
    checks_amounts: bool
    one_refund_only: bool
    odd_conduct: float
    takes_back: bool
    webhook_rate: float
    double_runs: bool
    max_receives: int
    redrives: bool
    reports_of_others: bool
    forgets_keys: bool
    readers: int = 0
    links_ms: tuple[int | None, ...] = ()
    sweeps: int = 0
    homes: tuple[tuple[str, ...], ...] = ((NAMES[0],),)
    loses_orders: float = 0.0
    loses_answers: float = 0.0
    reads_keys: bool = True
    names_orders: bool = False

    @property
    def processors(self) -> tuple[str, ...]:
        """The processors that are set up."""
        here = {name for named in self.homes for name in named}
        asked = {wish.processor for wish in self.wishes}
        return tuple(name for name in NAMES if name in here | asked)

    def named(self, payment: int) -> tuple[str, ...]:
        """The processors that the payment's record names, first the one that has it."""
        return self.homes[payment % len(self.homes)]

    @property
    def calm_ms(self) -> int:
        """When nothing goes wrong any more and nobody begins anything."""
        ends = [end_ms for _, _, end_ms in self.outages]
        return max(2 * self.trouble_ms, 3 * HOUR_MS, *ends, 0)


def draw(seed: int, processor: str | None = None) -> Options:
    """The world of ``seed``; with ``processor`` that one has all of its payments."""
    return _at_processors(_world(seed), processor)


def _world(seed: int) -> Options:
    """What does not depend on the processors."""
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
                reported=random.random() < 0.3,
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
        reports_of_others=random.random() < 0.1,
        forgets_keys=random.random() < 0.3,
        readers=random.choice((0, 0, 0, 1, 5)),
        links_ms=_links(more, payments, trouble_ms),
        sweeps=more.choice((0, 0, 1, 3)),
    )


def _at_processors(options: Options, processor: str | None) -> Options:
    """The world with processors, and with what their abilities make possible."""
    random = Random(options.seed ^ 0xD00)  # noqa: S311 - reproducible on purpose
    names, homes = NAMES, _homes(random, options.payments)
    if processor is not None:
        names, homes = (processor,), ((processor,),)
    here = {name for named in homes for name in named}
    by_key = all(keeps_keys(ABILITIES[name]) for name in here)
    lost = random.choice((0.0, 0.0, 0.7))
    reads_keys, names_orders = random.random() >= 0.1, random.random() < 0.5
    alike = _alike(random, options) if names_orders and here <= MAY_NAME_ORDERS else ()
    wishes = _asked(random, options.wishes, homes, names)
    if here & set(names_where(refunds_unlinked)):
        wishes = _some_unlinked(random, wishes, options.payments, names)
    return replace(
        options,
        homes=homes,
        wishes=wishes,
        foreign=options.foreign + alike,
        # What is lost is found to be so, and asked for again, by its key alone.
        loses_orders=lost if by_key else 0.0,
        loses_answers=0.5 if alike else 0.0,
        reads_keys=reads_keys,
        names_orders=names_orders,
    )


def _homes(random: Random, payments: int) -> tuple[tuple[str, ...], ...]:
    """One processor for all payments, or one for each; now and then a record names two."""
    kind, one = random.random(), random.choice(NAMES)
    if kind < 0.85:
        return ((one,),)
    if kind < 0.92:
        return tuple((random.choice(NAMES),) for _ in range(payments))
    other = random.choice([name for name in NAMES if name != one])
    return tuple((one, other)[: random.choice((1, 2, 2))] for _ in range(payments))


def _alike(random: Random, options: Options) -> tuple[Foreign, ...]:
    """Now and then somebody refunds what we do, a little later: only ids tell which is ours."""
    wish = random.choice(options.wishes)
    if wish.amount is None or random.random() < 0.5:
        return ()
    at_ms = wish.start_ms + random.randrange(MINUTE_MS)
    return (Foreign(payment=wish.payment, amount=wish.amount, at_ms=at_ms, reported=False),)


def _asked(
    random: Random,
    wishes: tuple[Wish, ...],
    homes: tuple[tuple[str, ...], ...],
    names: tuple[str, ...],
) -> tuple[Wish, ...]:
    """Callers name a processor where the record names two, and now and then for no reason.

    ``names``: which processors there may be.
    """
    by_key: dict[str, str | None] = {}
    for wish in wishes:
        named = homes[wish.payment % len(homes)]
        share = 0.7 if len(named) > 1 else 0.05
        asked = random.choice(named) if random.random() < share else None
        # Now and then one that has nothing to do with it.
        astray = random.random() < 0.02
        by_key.setdefault(wish.key, random.choice(names) if astray else asked)
    return tuple(replace(wish, processor=by_key[wish.key]) for wish in wishes)


def _some_unlinked(
    random: Random, wishes: tuple[Wish, ...], payments: int, names: tuple[str, ...]
) -> tuple[Wish, ...]:
    """Some of the keys belong to refunds without a payment, whoever asks for them."""
    share = random.choice((0.0, 0.5, 1.0))
    keys = {wish.key for wish in wishes if wish.amount is not None and random.random() < share}
    able = tuple(name for name in names_where(refunds_unlinked) if name in names)
    doors = (*able * 12, *names)  # now and then one that cannot do it
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
    """One wish, or one whose key comes several times: at once, later, or with another body."""
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
    """Now and then one of them, or each, comes over the bus."""
    return [
        replace(one, by_event=True, refund_type=RefundType.SCHEDULED)
        if random.random() < 0.2
        else one
        for one in wishes
    ]


def _links(random: Random, payments: int, trouble_ms: int) -> tuple[int | None, ...]:
    """Now and then a PaymentIntent names its record late, or not before somebody mends it."""
    if random.random() < 0.7:
        return ()
    return tuple(
        random.choice((0, random.randrange(2 * trouble_ms), None)) for _ in range(payments)
    )


def _failed_before(random: Random, wishes: tuple[Wish, ...]) -> tuple[Foreign, ...]:
    """Now and then a dashboard refund has failed before we begin, of an amount that we ask for."""
    wish = random.choice(wishes)
    if wish.amount is None or random.random() >= 0.15:
        return ()
    return (Foreign(payment=wish.payment, amount=wish.amount, at_ms=0, reported=False, fails=True),)


def _swarm(random: Random) -> frozenset[Fault]:
    """Some kinds of faults: all, most or few of them."""
    share = random.choice((1.0, 0.6, 0.25))
    return frozenset(fault for fault in Fault if random.random() < share)


def _outages(random: Random, trouble_ms: int) -> tuple[tuple[str, int, int], ...]:
    outages = []
    for name in ("processor", "book", "lists"):
        if random.random() < 0.12:
            start_ms = random.randrange(trouble_ms)
            end_ms = start_ms + random.choice((10 * MINUTE_MS, 3 * HOUR_MS, 26 * HOUR_MS))
            outages.append((name, start_ms, end_ms))
    return tuple(outages)
