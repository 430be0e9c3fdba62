"""What a world is like; ``drawing`` draws it from a seed."""

from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.refund_request import RefundType
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.settling.settling import AfterHold
from tests.simulation.faults import Fault
from tests.simulation.others import HOUR_MS, NOBODY, Foreign, Others
from tests.simulation.profiles import NAMES

CAPTURED: Final = 10_000
# What Stripe shows too much, for a while.
CAPTURED_TOO_HIGH: Final = 500
CURRENCY: Final = "sgd"
# How long whoever refunds elsewhere has to report it.
GRACE_MS: Final = 120_000
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
class Options:
    """One world.

    Attributes:
        foreign_equal: whether dashboard refunds may have an amount that we also ask for.
        trouble_ms: when faults stop.
        outages: from when to when which provider's look-ups fail.
        webhook_rate: how many webhooks come for a processor refund, on average.
        odd_conduct: how often a refund is not simply done at once.
        readers: how many people per wish read its refund, and ask for a look at the processor.
        links_ms: when each payment's PaymentIntent comes to name its record; ``None``: when a
            person mends it, after the trouble; not there: from the beginning.
        sweeps: how often all payments are swept during the trouble.
        homes: for each payment, the processors that its Payment Record names; the first has it.
        loses_instructions: how often an instruction is lost on its way, whatever else goes wrong.
        loses_answers: how often its answer is.
        turns_down: how often it is turned down, though nothing else goes wrong.
        reads_keys: whether a processor that keeps keys can be asked for one.
        names_instructions: whether a refund shows whose instruction it is where that is left open.
        others: what people and providers do that nobody expects.
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
    forgets_keys: bool
    readers: int = 0
    links_ms: tuple[int | None, ...] = ()
    sweeps: int = 0
    homes: tuple[tuple[str, ...], ...] = ((NAMES[0],),)
    loses_instructions: float = 0.0
    loses_answers: float = 0.0
    turns_down: float = 0.0
    reads_keys: bool = True
    names_instructions: bool = False
    others: Others = NOBODY

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
        others = self.others
        spans = (others.key_form, others.restricted, others.captured_off)
        ends = [end_ms for _, _, end_ms in self.outages] + [one[1] for one in spans if one]
        return max(2 * self.trouble_ms, 3 * HOUR_MS, *ends, 0)
