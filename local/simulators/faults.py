"""The fault plan: rules that say which calls fail, how, how often, and with what probability."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from local.simulators import fields
from local.simulators.calls import EVERYTHING, ApiCall, View
from local.simulators.json_text import JsonObject

PROVIDERS = ("hitpay", "stripe", "hyperswitch", "hedge", "ccg")
OPERATIONS = (
    "refund.create",
    "refund.read",
    "refund.find",
    "charge.read",
    "charge.list",
    "payment_request.read",
    "payment_record.read",
    "payment_record.report_refund",
    "payment_intent.read",
    "invoice.read",
    "credit_note.list",
    "credit_note.create",
)
# At most one of these happens to a call ...
DECISIVE = (
    "lost_request",
    "commit_then_timeout",
    "commit_then_reset",
    "late_commit",
    "status",
    "status_after_commit",
    "body",
    "drip",
)
# ... while these only delay it or limit what it sees; they can be combined, and with one above.
COLOURING = ("delay", "lag", "hide")
VARIANTS = (
    "empty",
    "html",
    "truncated",
    "null",
    "other_amount",
    "other_currency",
    "other_payment",
    "no_id",
)
# fmt: off
_MEMBERS = frozenset([
    "provider", "operation", "fault", "after", "times", "probability", "seed", "match", "seconds",
    "hold_seconds", "status", "headers", "body", "variant", "stored", "what",
])
# fmt: on
_NEEDS_SECONDS = ("delay", "late_commit", "drip", "lag")


@dataclass
class Rule:
    """One rule; times None means until cleared. `fired` counts the calls it has hit.

    Attributes:
        after: how many calls that it would hit are spared first; `spared` counts them.
    """

    number: int
    source: JsonObject
    provider: str
    operation: str
    fault: str
    times: int | None
    probability: float
    dice: random.Random
    match: str | None
    seconds: float | None
    hold_seconds: float | None
    status: int
    headers: dict[str, str]
    body: object
    variant: str
    stored: bool | None
    what: str
    after: int = 0
    spared: int = 0
    fired: int = 0

    def strikes(self, provider: str, call: ApiCall) -> bool:
        """Say whether the rule hits this call, and count it if so."""
        if self.provider != provider or self.operation not in ("*", call.operation):
            return False
        if self.match is not None and not call.names(self.match):
            return False
        if self.times is not None and self.fired >= self.times:
            return False
        if self.spared < self.after:
            self.spared += 1
            return False
        if self.dice.random() >= self.probability:
            return False
        self.fired += 1
        return True


@dataclass(frozen=True)
class Strike:
    """The rules for one call: at most one decisive rule, and any number of colouring ones."""

    decisive: Rule | None = None
    colouring: Sequence[Rule] = field(default=())

    @property
    def label(self) -> str | None:
        """The names of the faults, as the journal shows them."""
        rules = [*self.colouring, *([self.decisive] if self.decisive else [])]
        return "+".join(rule.fault for rule in rules) or None

    @property
    def delay(self) -> float:
        """Seconds to wait before processing."""
        return sum(rule.seconds or 0 for rule in self.colouring if rule.fault == "delay")

    def view(self, now: float) -> View:
        """What a read may see of the books."""
        view = EVERYTHING
        for rule in self.colouring:
            if rule.fault == "hide" and rule.what == "object":
                return View(object_hidden=True)
            if rule.fault == "hide":
                view = View(recorded_until=float("-inf"))
            elif rule.fault == "lag":
                until = now - (rule.seconds or 0)
                seen = view.recorded_until
                view = View(recorded_until=until if seen is None else min(seen, until))
        return view


class FaultPlan:
    """The rules of all simulators, tried in the order in which they were added."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._number = 0

    def add(self, source: JsonObject) -> Rule:
        """Add a rule given as JSON; ValueError says what is wrong with it."""
        rule = _read(self._number + 1, source)
        self._number += 1
        self._rules.append(rule)
        return rule

    def strike(self, provider: str, call: ApiCall) -> Strike:
        """Find the rules that hit a call."""
        colouring: list[Rule] = []
        for rule in self._rules:
            if rule.fault in COLOURING and rule.strikes(provider, call):
                colouring.append(rule)
        for rule in self._rules:
            if rule.fault in DECISIVE and rule.strikes(provider, call):
                return Strike(rule, colouring)
        return Strike(None, colouring)

    def clear(self, provider: str | None = None) -> None:
        """Remove all rules, or one provider's."""
        self._rules = [rule for rule in self._rules if provider not in (None, rule.provider)]

    def shown(self) -> list[JsonObject]:
        """Return the rules as they were given, with how often each has hit."""
        return [{"id": rule.number, **rule.source, "fired": rule.fired} for rule in self._rules]


def _read(number: int, source: JsonObject) -> Rule:
    unknown = sorted(set(source) - _MEMBERS)
    if unknown:
        raise ValueError(f"a fault rule has no {', '.join(unknown)}")
    fault = _one_of(source, "fault", (*DECISIVE, *COLOURING))
    length = fields.seconds(source, "seconds")
    if length is None and fault in _NEEDS_SECONDS:
        raise ValueError(f"{fault} needs seconds")
    chance = fields.amount({"probability": source.get("probability", 1)}, "probability")
    if not 0 <= chance <= 1:
        raise ValueError("probability must be between 0 and 1")
    return Rule(
        number=number,
        source=source,
        provider=_one_of(source, "provider", PROVIDERS),
        operation=_one_of(source, "operation", ("*", *OPERATIONS), "*"),
        fault=fault,
        times=None if source.get("times") is None else fields.whole(source, "times"),
        probability=float(chance),
        # the seed is in the rule, so that a failing run can be repeated
        dice=random.Random(fields.whole(source, "seed", 0)),  # noqa: S311
        match=fields.optional_text(source, "match"),
        seconds=length,
        hold_seconds=fields.seconds(source, "hold_seconds"),
        status=fields.whole(source, "status", 500),
        headers=fields.texts(source, "headers"),
        body=source.get("body"),
        variant=_one_of(source, "variant", VARIANTS, "empty"),
        stored=None if source.get("stored") is None else fields.flag(source, "stored"),
        what=_one_of(source, "what", ("refunds", "object"), "refunds"),
        after=fields.whole(source, "after", 0),
    )


def _one_of(
    source: JsonObject, key: str, allowed: Sequence[str], default: str | None = None
) -> str:
    value = fields.text(source, key, default)
    if value not in allowed:
        raise ValueError(f"{key} must be one of {', '.join(allowed)}, not {value!r}")
    return value
