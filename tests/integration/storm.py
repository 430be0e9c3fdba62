"""Faults: three random calls in ten fail, and workers are killed at chosen places."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random
from typing import Any

from deployed.polling import wait_for
from local.simulators.client import SimulatorControl
from local.simulators.records import RecordedCall
from local.stack import RunningStack
from local.workers import kill_worker, worker_pids

# The faults of a call, with their probabilities; the first that hits the call decides.
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


@dataclass(frozen=True)
class Place:
    """A provider call that changes something, and the function that makes it."""

    provider: str
    operation: str
    function: str


INSTRUCTION = Place("hitpay", "refund.create", "RefundApiFunctionName")
REPORT = Place("stripe", "payment_record.report_refund", "ReportRefundFunctionName")
SOON = 90


def hold_answer(stack: RunningStack, place: Place, about: str) -> None:
    """The provider executes the call about this payment, but does not answer for a while."""
    stack.control.add_fault(place.provider, place.operation, "commit_then_timeout", match=about)


def kill_before_the_answer(stack: RunningStack, place: Place, about: str) -> None:
    """After the provider has executed the call, kill every worker of the function."""

    def looks_like_it(call: RecordedCall) -> bool:
        is_it = about in call.path or about in call.parameters.values()
        return is_it and call.processed and not call.finished

    wait_for(
        lambda: any(map(looks_like_it, stack.control.calls(place.provider, place.operation))),
        f"{place.operation} of {about}, done and not answered",
        at_most=SOON,
    )
    pids = worker_pids(stack.emulator, stack.outputs[place.function])
    killed = [kill_worker(pid) for pid in pids]
    assert any(killed)


@contextmanager
def storm(stack: RunningStack, dice: Random) -> Iterator[None]:
    """Let calls fail until the end of the block."""
    add_faults(stack.control, dice)
    try:
        yield
    finally:
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
