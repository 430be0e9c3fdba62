"""What a world is like: everything here is drawn from its seed."""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from refunds.link import VerifyCharge
from refunds.refund import RefundType
from refunds.settle import AfterHold
from tests.simulation.faults import Fault

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
CAPTURED: Final = 10_000
# Amounts of ours are multiples of 100, so that no dashboard refund of an odd one equals them.
OURS: Final = (1000, 2500, 2500, 4000, 6000, 10_000, None)
ODD: Final = (37, 1037, 3037)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A refund that somebody wants, under one key, asked for ``tries`` times at most.

    With ``by_event`` it is asked for over the bus, and so always scheduled.
    """

    key: str
    payment: int
    amount: int | None
    refund_type: RefundType
    start_ms: int
    tries: int
    by_intent: bool = False
    by_event: bool = False


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

    @property
    def calm_ms(self) -> int:
        """When nothing goes wrong any more and nobody begins anything."""
        ends = [end_ms for _, _, end_ms in self.outages]
        return max(2 * self.trouble_ms, 3 * HOUR_MS, *ends, 0)


def draw(seed: int) -> Options:
    """The world of ``seed``."""
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
