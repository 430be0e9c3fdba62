"""The options of a world; ``drawing`` draws them from a seed."""

from dataclasses import dataclass
from typing import Final

from refund_bridge.domain.refund_request import RefundType
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.settling.settling import AfterHold
from tests.simulation.faults import Fault
from tests.simulation.others import HOUR_MS, NOBODY, Foreign, Others
from tests.simulation.profiles import NAMES

CAPTURED: Final = 10_000
# The excess that Stripe shows as captured for a while.
CAPTURED_TOO_HIGH: Final = 500
CURRENCY: Final = "sgd"
# How long others have to report an external refund of theirs.
GRACE_MS: Final = 120_000
# Amounts of ours are multiples of 100, so that no dashboard refund of an odd one equals them.
OURS: Final = (1000, 2500, 2500, 4000, 6000, 10_000, None)
ODD: Final = (37, 1037, 3037)
# A Payment Record without a processor's payment, on which refunds are reported.
LONE_RECORD: Final = "pr_lone"
UNKNOWN_METHOD: Final = "card-9"


@dataclass(frozen=True, slots=True)
class Unlinked:
    """Where the money of a refund without a payment goes, and on which record it is reported."""

    method: str
    report_to: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A refund that somebody wants, under one key, asked for at most ``tries`` times.

    With ``by_event`` it is asked for by an event, and so it is scheduled. ``processor`` is the one
    that the caller names, if any; with ``unlinked`` there is no payment.
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
        outages: which provider's look-ups fail, from when to when.
        webhook_rate: how many webhooks come for a processor refund, on average.
        odd_conduct: how often a refund does not end at once.
        readers: how many people per wish read its refund, and have the processor asked about it.
        links_ms: when each payment's PaymentIntent starts to name its record; ``None``: when a
            person corrects it, after the trouble; not there: from the beginning.
        sweeps: how often all payments are swept during the trouble.
        homes: for each payment, the processors that its Payment Record names; the first has it.
        loses_instructions: how often an instruction is lost on its way, besides other faults.
        loses_answers: how often its answer is lost.
        turns_down: how often it is refused, though nothing else goes wrong.
        reads_keys: whether a processor that keeps keys can be asked for one.
        names_instructions: whether a refund shows its instruction, at processors that may do so.
        others: unexpected acts of people and providers.
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
        """The time after which nothing goes wrong and nobody begins anything."""
        others = self.others
        spans = (others.key_form, others.restricted, others.captured_off)
        ends = [end_ms for _, _, end_ms in self.outages] + [one[1] for one in spans if one]
        return max(2 * self.trouble_ms, 3 * HOUR_MS, *ends, 0)
