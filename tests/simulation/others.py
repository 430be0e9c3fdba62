"""What others do in a world, and unexpected acts of providers: drawn from the seed.

Each world has one or two such themes (as with faults, few at a time), and many have none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import Any, Final

from refund_bridge.domain.stripe_knows import OthersReport
from tests.fakes.processor_fates import Look

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
Span = tuple[int, int]


class Name(StrEnum):
    """Under which reference somebody books a refund at Stripe."""

    PROCESSOR_REFUND = "movement"
    TICKET = "ticket"


@dataclass(frozen=True, slots=True)
class Booking:
    """Somebody reports a refund to Stripe, with this wait after it began."""

    name: Name
    wait_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A refund in the processor's dashboard.

    Attributes:
        at_ms: when it is made; with ``at_first_sight``, the time after this service first reads the
            payment.
        booking: how it is reported to Stripe, if it is.
        fails: whether it fails at once.
        age_ms: how long before ``at_ms`` it was made.
    """

    payment: int
    amount: int
    at_ms: int
    booking: Booking | None = None
    fails: bool = False
    age_ms: int = 0
    at_first_sight: bool = False


class Theme(StrEnum):
    """Unusual situations that a world may have."""

    COLLEAGUE = "colleague"
    FIRST_SIGHT = "first_sight"
    LATE_ADOPTION = "late_adoption"
    CLOCKS = "clocks"
    CHANGED_MIND = "changed_mind"
    ODD_LOOKS = "odd_looks"
    OTHER_AMOUNT = "other_amount"
    TWO_IDS = "two_ids"
    LISTLESS = "listless"
    KEY_FORM = "key_form"
    RESTRICTED = "restricted"
    CAPTURED_OFF = "captured_off"
    WRONG_LINK = "wrong_link"
    BAD_PAGE = "bad_page"


# In worlds about these, refunds cannot be recognised, so that many end in review.
HIDING: Final = frozenset({Theme.ODD_LOOKS, Theme.OTHER_AMOUNT, Theme.LISTLESS, Theme.KEY_FORM})


@dataclass(frozen=True, slots=True, kw_only=True)
class Others:
    """The options of a world besides its faults.

    Attributes:
        reported: how others report external refunds, by the merchant's setting.
        books: how often somebody reports a processor refund to Stripe, whoever made it ...
        bookings: ... and in which ways.
        zone_ms: how far ahead the processor's times are, since they have no zone.
        changes_mind: how often a processor refund's final state changes again, once or more.
        flips: whether dashboard refunds are soon taken back and then successful again.
        look: how refunds are shown; if it is not ``AS_IT_IS``, every refund may be shown so.
        moves_less: whether a pending refund may move less than it was asked for.
        lists_other_ids: whether payments list refunds under other ids than the answers to
            instructions have.
        lists_nothing: whether payments list no refunds at all, ever.
        key_form: from when to when keys have another form.
        restricted: from when to when the key at Stripe may not report.
        captured_off: from when to when Stripe shows another amount as captured.
        wrong_link_ms: until when a record names a payment that cannot be refunded.
        bad_page: whether the processor's newest page of payments can never be read.
    """

    themes: frozenset[Theme] = frozenset()
    reported: OthersReport = OthersReport.ANYHOW
    books: float = 0.0
    bookings: tuple[Booking, ...] = ()
    zone_ms: int = 0
    changes_mind: float = 0.0
    flips: bool = False
    look: Look = Look.AS_IT_IS
    moves_less: bool = False
    lists_other_ids: bool = False
    lists_nothing: bool = False
    key_form: Span | None = None
    restricted: Span | None = None
    captured_off: Span | None = None
    wrong_link_ms: int | None = None
    bad_page: bool = False


NOBODY: Final = Others()


def themes(random: Random) -> frozenset[Theme]:
    """Draw no theme, one or two."""
    return frozenset(random.sample(list(Theme), random.choice((0, 1, 1, 2))))


def draw_others(random: Random, before: Others, about: frozenset[Theme], trouble_ms: int) -> Others:
    """The options of a world with those themes, added to those it had before."""
    others = replace(before, themes=about)
    for theme in sorted(about):
        if theme in _OF_THEME:
            others = replace(others, **_OF_THEME[theme](random, trouble_ms))
    return others


def _told_by_somebody(random: Random, _: int) -> dict[str, Any]:
    bookings = _bookings(random)
    by_id = all(one.name is Name.PROCESSOR_REFUND for one in bookings)
    says_so = by_id and random.random() < 0.5
    return {
        "books": random.choice((0.3, 0.8)),
        "bookings": bookings,
        "reported": OthersReport.BY_PROCESSOR_ID if says_so else OthersReport.ANYHOW,
    }


# A refund that stays pending is checked for a month, which costs time: so it is drawn rarely.
_LOOKS: Final = (Look.UNDER_ANOTHER_WORD, *7 * (Look.GONE,))
_ZONES_MS: Final = (-8 * HOUR_MS, -8 * HOUR_MS, 8 * HOUR_MS, 0)
# The other themes depend on when something happens, so they are drawn with the wishes.
_OF_THEME: Final[dict[Theme, Callable[[Random, int], dict[str, Any]]]] = {
    Theme.COLLEAGUE: _told_by_somebody,
    Theme.LATE_ADOPTION: _told_by_somebody,
    Theme.CLOCKS: lambda random, _: {"zone_ms": random.choice(_ZONES_MS)},
    Theme.CHANGED_MIND: lambda random, _: {
        "changes_mind": random.choice((0.4, 0.8)),
        "flips": random.random() < 0.5,
    },
    Theme.ODD_LOOKS: lambda random, _: {"look": random.choice(_LOOKS)},
    Theme.OTHER_AMOUNT: lambda *_: {"moves_less": True},
    Theme.TWO_IDS: lambda *_: {"lists_other_ids": True},
    Theme.LISTLESS: lambda *_: {"lists_nothing": True},
    Theme.RESTRICTED: lambda random, trouble_ms: {"restricted": _span(random, trouble_ms)},
    Theme.WRONG_LINK: lambda random, trouble_ms: {
        "wrong_link_ms": random.choice((MINUTE_MS, trouble_ms))
    },
    Theme.BAD_PAGE: lambda *_: {"bad_page": True},
}


def clock_off_ms(random: Random) -> int:
    """How far a processor's clock may be ahead."""
    return random.choice((5, 90, 240)) * random.choice((1, -1)) * SECOND_MS


def _span(random: Random, trouble_ms: int) -> Span:
    begin_ms = random.choice((0, random.randrange(trouble_ms)))
    return begin_ms, begin_ms + random.choice((10 * MINUTE_MS, 3 * HOUR_MS, 26 * HOUR_MS))


def _bookings(random: Random) -> tuple[Booking, ...]:
    """One person's ways to report: always by the same kind of reference, soon or much later."""
    names = random.choice(
        ((Name.PROCESSOR_REFUND,), (Name.TICKET,), (Name.TICKET, Name.PROCESSOR_REFUND))
    )
    waits = random.choice(
        (
            (0, 5 * SECOND_MS, 30 * SECOND_MS),
            (0, 10 * SECOND_MS, MINUTE_MS, HOUR_MS),
            (26 * HOUR_MS,),
        )
    )
    return tuple(Booking(name, wait_ms) for name in names for wait_ms in waits)


def in_dashboard(
    random: Random, about: frozenset[Theme], payments: int, amounts: Sequence[int], trouble_ms: int
) -> tuple[Foreign, ...]:
    """The dashboard's refunds of a world with those themes.

    ``amounts``: amounts that are refunded here; dashboard refunds may have these and others.
    """
    made: list[Foreign] = []
    if Theme.COLLEAGUE in about:
        for _ in range(random.choice((1, 1, 2))):
            at_ms = random.choice(
                (random.randrange(2 * MINUTE_MS), random.randrange(2 * trouble_ms))
            )
            made.append(_foreign(random, payments, amounts, at_ms))
    if Theme.FIRST_SIGHT in about:
        one = _foreign(random, payments, amounts, random.randrange(1_500))
        made.append(replace(one, at_first_sight=True))
    if Theme.LATE_ADOPTION in about:
        for _ in range(random.choice((1, 2, 3))):
            one = _foreign(random, payments, amounts, 0)
            told = Booking(random.choice(list(Name)), 0) if random.random() < 0.6 else None
            age_ms = random.choice((2 * DAY_MS, 40 * DAY_MS, 900 * DAY_MS))
            made.append(replace(one, age_ms=age_ms, booking=told))
    return tuple(made)


def _foreign(random: Random, payments: int, amounts: Sequence[int], at_ms: int) -> Foreign:
    amount = random.choice((*amounts, 1000, 1000, 3000))
    return Foreign(payment=random.randrange(payments), amount=amount, at_ms=at_ms)
