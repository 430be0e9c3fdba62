"""Everything goes wrong now and then: about three in ten calls, and the workers themselves."""

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from local.simulators.client import SimulatorControl
from local.stack import RunningStack
from local.workers import kill_worker, worker_pids

# What befalls a call, with its probability; the first that strikes decides.
READING: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("lost_request", "0.08", {}),
    ("status", "0.08", {"status": 503}),
    ("status", "0.06", {"status": 429}),
    ("body", "0.05", {"variant": "truncated"}),
    ("delay", "0.10", {"seconds": 0.3}),
)
MOVING: Sequence[tuple[str, str, dict[str, Any]]] = (
    ("lost_request", "0.06", {}),
    ("commit_then_reset", "0.06", {}),
    ("commit_then_timeout", "0.05", {"seconds": 3}),
    ("status", "0.04", {"status": 500}),
    ("status", "0.04", {"status": 503}),
    ("status", "0.05", {"status": 429}),
    ("status_after_commit", "0.06", {"status": 500}),
    ("body", "0.03", {"variant": "truncated"}),
    ("delay", "0.10", {"seconds": 0.5}),
)
FAULTS = {
    ("hitpay", "charge.read"): READING,
    ("hitpay", "refund.read"): READING,
    ("hitpay", "refund.create"): MOVING,
    ("stripe", "payment_record.read"): READING,
    ("stripe", "payment_record.report_refund"): MOVING,
}
KILL_EVERY_SECONDS = 2
API, REPORT = "RefundApiFunctionName", "ReportRefundFunctionName"


@dataclass
class Storm:
    """What it has done so far; `in_flight` counts orders whose sender was killed for certain."""

    killed: Counter[str] = field(default_factory=Counter)
    in_flight: int = 0


@contextmanager
def storm(stack: RunningStack, dice: Random) -> Iterator[Storm]:
    """Let calls fail and kill workers until the end of the block; all of it then stops at once."""
    happened, over = Storm(), threading.Event()
    killer = threading.Thread(target=_kill, args=(stack, dice, happened, over))
    add_faults(stack.control, dice)
    killer.start()
    try:
        yield happened
    finally:
        over.set()
        killer.join()
        stack.control.clear_faults()


def add_faults(control: SimulatorControl, dice: Random) -> None:
    """Add every rule, each with dice of its own."""
    for (provider, operation), rules in FAULTS.items():
        for fault, probability, more in rules:
            control.add_fault(
                provider,
                operation,
                fault,
                times=None,
                probability=probability,
                seed=dice.randrange(2**31),
                **more,
            )


def _kill(stack: RunningStack, dice: Random, happened: Storm, over: threading.Event) -> None:
    """One worker at a time, and once all that may have sent an order that is not yet answered."""
    while not over.wait(KILL_EVERY_SECONDS):
        name = dice.choice((API, REPORT))
        pids = worker_pids(stack.emulator, stack.outputs[name])
        victims = dice.sample(pids, min(1, len(pids)))
        if not happened.in_flight:
            orders = stack.control.calls("hitpay", "refund.create")
            happened.in_flight = sum(order.processed and not order.finished for order in orders)
            if happened.in_flight:
                name, victims = API, worker_pids(stack.emulator, stack.outputs[API])
        happened.killed[name] += sum(kill_worker(pid) for pid in victims)
