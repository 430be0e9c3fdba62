"""What may go wrong at every call of a port, and the dice that decide when it does.

Every port has its own list. A world enables some of the faults ("swarm testing": few kinds often
find more than all kinds seldom) and counts those that happened, so that a run can show that it
really tested something.
"""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from enum import StrEnum
from random import Random
from typing import Final

from refund_bridge.ports.processor import Capabilities
from tests.fakes.abilities import (
    ABILITIES,
    keeps_keys,
    refunds_unlinked,
    shows_payments,
    shows_refunds,
)


class Fault(StrEnum):
    """One thing that may go wrong at a port."""

    # at every port
    CRASH_BEFORE = "crash_before"
    CRASH_AFTER = "crash_after"
    PAUSE_BEFORE = "pause_before"
    PAUSE_AFTER = "pause_after"
    SLOW = "slow"
    # reads and the ledger
    UNAVAILABLE = "unavailable"
    REPLY_LOST = "reply_lost"
    CONFLICT = "conflict"
    STALE = "stale"
    LISTS_NOTHING = "lists_nothing"
    DISAGREES = "disagrees"
    # the call that moves money
    NOT_SENT = "not_sent"
    REQUEST_LOST = "request_lost"
    LATE = "late"
    REFUSED = "refused"
    LIMITED = "limited"
    UNAUTHORIZED = "unauthorized"
    REVOKED = "revoked"
    REPLACED = "replaced"
    ERROR_BEFORE = "error_before"
    ERROR_AFTER = "error_after"
    # the call that reports
    ERROR_STORED = "error_stored"
    ERROR_STORED_BOOKED = "error_stored_booked"
    # the queue
    LOST_SILENTLY = "lost_silently"
    LOST_WITH_ERROR = "lost_with_error"
    QUEUED_WITH_ERROR = "queued_with_error"
    DUPLICATED = "duplicated"
    DELAYED = "delayed"


_F = Fault
_COMPUTE: Final = (_F.CRASH_BEFORE, _F.CRASH_AFTER, _F.PAUSE_BEFORE, _F.PAUSE_AFTER, _F.SLOW)
_LEDGER: Final = (*_COMPUTE, _F.UNAVAILABLE)
_LOOK_UP: Final = (*_COMPUTE, _F.UNAVAILABLE, _F.STALE)
_INSTRUCTION: Final = (
    *_COMPUTE,
    _F.NOT_SENT,
    _F.REQUEST_LOST,
    _F.REPLY_LOST,
    _F.LATE,
    _F.REFUSED,
    _F.LIMITED,
    _F.UNAUTHORIZED,
    _F.REVOKED,
    _F.REPLACED,
    _F.ERROR_BEFORE,
    _F.ERROR_AFTER,
)


def _at_processor(name: str, can: Capabilities) -> dict[str, tuple[Fault, ...]]:
    """What may go wrong at one processor, for each call that it supports."""
    ports: dict[str, tuple[Fault, ...]] = {f"{name}.refund": _INSTRUCTION}
    if shows_payments(can):
        ports[f"{name}.charge"] = (*_LOOK_UP, _F.LISTS_NOTHING)
    if shows_refunds(can):
        ports[f"{name}.processor_refund"] = (*_LOOK_UP, _F.DISAGREES)
    if keeps_keys(can):
        ports[f"{name}.find_by_key"] = (*_LOOK_UP, _F.DISAGREES)
        ports[f"{name}.repeat"] = _INSTRUCTION
    if refunds_unlinked(can):
        ports[f"{name}.refund_unlinked"] = _INSTRUCTION
    return ports


_AT_PROCESSORS: Final = {name: _at_processor(name, can) for name, can in ABILITIES.items()}

# Every pair of port and fault; a long run must have met each of them, at every processor.
POSSIBLE: Final[dict[str, tuple[Fault, ...]]] = {
    "ledger.refund": _LEDGER,
    "ledger.look_up": _LEDGER,
    "ledger.payment_of_record": _LEDGER,
    "ledger.payment": _LEDGER,
    "ledger.claimed": _LEDGER,
    "ledger.payment_and_claims": _LEDGER,
    "ledger.commit": (*_LEDGER, _F.REPLY_LOST, _F.CONFLICT),
    "ledger.take_check": (*_LEDGER, _F.REPLY_LOST),
    "ledger.due": (*_LEDGER, _F.STALE),
    "listing.refunds": _LEDGER,
    "listing.every_refund": (*_LEDGER, _F.STALE),
    "reports.payment_record": (*_COMPUTE, _F.UNAVAILABLE),
    "reports.payment_intent": (*_COMPUTE, _F.UNAVAILABLE),
    "reports.report_refund": (
        *_COMPUTE,
        _F.REQUEST_LOST,
        _F.REPLY_LOST,
        _F.LATE,
        _F.LIMITED,
        _F.ERROR_STORED,
        _F.ERROR_STORED_BOOKED,
    ),
    "doorbell.ring": (
        *_COMPUTE,
        _F.LOST_SILENTLY,
        _F.LOST_WITH_ERROR,
        _F.QUEUED_WITH_ERROR,
        _F.DUPLICATED,
        _F.DELAYED,
    ),
}
for _ports in _AT_PROCESSORS.values():
    POSSIBLE.update(_ports)

# Rare and important calls fail this many times as often as all others.
_STRAIN: Final = {
    "refund": 3,
    "refund_unlinked": 20,
    "repeat": 8,
    "processor_refund": 4,
    "find_by_key": 2,
}
_STRAINED: Final = {
    port: _STRAIN.get(port.rpartition(".")[2], 1)
    for ports in _AT_PROCESSORS.values()
    for port in ports
}
RATE_MAX: Final = 0.6

Pair = tuple[str, Fault]
PAIRS: Final[frozenset[Pair]] = frozenset(
    (port, fault) for port, faults in POSSIBLE.items() for fault in faults
)


def pairs_of(names: Collection[str]) -> frozenset[Pair]:
    """The pairs that can occur if only these processors are there."""
    others = {port for name, ports in _AT_PROCESSORS.items() if name not in names for port in ports}
    return frozenset(pair for pair in PAIRS if pair[0] not in others)


@dataclass(slots=True)
class Dice:
    """Decides at each call whether something goes wrong.

    Attributes:
        rate: the share of calls with a fault; higher at some ports.
        enabled: the kinds of faults of this world.
        script: faults by the index of the port call; if given, nothing else goes wrong.
        calls: port calls so far.
        met: how often each fault happened at each port.
        ports: which port each call was of, if ``remembers``.
    """

    random: Random
    rate: float
    enabled: frozenset[Fault]
    script: dict[int, Fault] | None = None
    is_on: bool = True
    calls: int = 0
    met: Counter[tuple[str, Fault]] = field(default_factory=Counter)
    remembers: bool = False
    ports: list[str] = field(default_factory=list)
    _choices: dict[str, list[Fault]] = field(default_factory=dict)

    def throw(self, port: str) -> Fault | None:
        """What goes wrong at this call of ``port``, if anything."""
        index = self.calls
        self.calls += 1
        if self.remembers:
            self.ports.append(port)
        if self.script is not None:
            fault = self.script.get(index)
            fault = fault if fault in POSSIBLE[port] else None
        elif not self.is_on or self.random.random() >= self._rate_at(port):
            return None
        else:
            fault = self._choose(port)
        if fault is not None:
            self.met[port, fault] += 1
        return fault

    def stop(self) -> None:
        """Let nothing go wrong from now on, whatever was scripted, and remember no more calls."""
        self.is_on, self.script, self.remembers = False, None, False

    def _rate_at(self, port: str) -> float:
        return min(RATE_MAX, self.rate * _STRAINED.get(port, 1))

    def _choose(self, port: str) -> Fault | None:
        choices = self._choices.get(port)
        if choices is None:
            choices = [fault for fault in POSSIBLE[port] if fault in self.enabled]
            self._choices[port] = choices
        return self.random.choice(choices) if choices else None
