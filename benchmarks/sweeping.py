"""How many requests a sweep sends to HitPay: listing all charges, or only the refunded ones.

HitPay's adapter reads the simulator's list of 100,000 charges; one in a hundred was refunded, half
of these partially. If the list does not show the refunded sum of a charge, the charge is read.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from benchmarks.results import Part, Row
from benchmarks.scale import Scale
from local.simulators.client import SimulatorControl
from local.simulators.hitpay import DEFAULT_KEY
from local.simulators.json_text import JsonObject
from local.simulators.seeding import Seed
from local.simulators.server import RunningSimulators
from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.ports.runtime import Deadline
from refund_bridge.processors.hitpay import adapter as hitpay
from refund_bridge.processors.hitpay.adapter import HitPay

REFUNDED_ONE_IN = 100
SEEDED_AT_ONCE = 500
WALK_MS = 3_600_000


class Key:
    """The simulator's key."""

    def current(self) -> str:
        """The key."""
        return DEFAULT_KEY

    def refreshed(self) -> None:
        """Always `None`: there is no newer key."""


def measure(scale: Scale, _: Path) -> Part:
    """Count the requests of a whole sweep, without and with the filter."""
    with RunningSimulators() as simulators:
        control = simulators.control
        control.reset()
        for start in range(0, scale.sold, SEEDED_AT_ONCE):
            numbers = range(start, min(start + SEEDED_AT_ONCE, scale.sold))
            control.seed(Seed(charges=tuple(_sold(number) for number in numbers)))
        with _without_a_filter(control):
            before = _walked(control)
        after = _walked(control)
    what = f"a sweep of {scale.sold:,} charges, one in {REFUNDED_ONE_IN} refunded"
    row = Row(
        what=f"{what}, requests",
        against=f"a list without a filter: {before['pages'] + before['reads']:,}",
        value=after["pages"] + after["reads"],
        unit="requests",
        note=f"{after['pages']} pages and {after['reads']} charges",
    )
    return Part([row], {"without_filter": before, "refunded_only": after})


def _sold(number: int) -> JsonObject:
    charge: JsonObject = {"id": f"sold-{number}", "amount": "100.00", "currency": "sgd"}
    if number % REFUNDED_ONE_IN == 0:
        is_part = number % (2 * REFUNDED_ONE_IN) == 0
        amount = "10.00" if is_part else "100.00"
        charge["refunds"] = [{"id": f"back-{number}", "amount": amount}]
    return charge


@contextmanager
def _without_a_filter(control: SimulatorControl) -> Iterator[None]:
    control.set_hitpay(list_default="everything")
    with patch.object(hitpay, "REFUNDED_STATUSES", ()):
        yield
    control.set_hitpay(list_default="documented")


def _walked(control: SimulatorControl) -> dict[str, int]:
    """Pages and charges that a sweep reads, and how many charges the pages list."""
    clock = SystemClock()
    http = DeadlineHttp(clock)
    adapter = HitPay(base_url=control.hitpay_url, key=Key(), http=http)
    deadline = Deadline.after(clock, WALK_MS)
    pages, reads, listed = 0, 0, 0
    cursor: str | None = None
    while True:
        page = adapter.charges(cursor, deadline)
        pages, listed = pages + 1, listed + len(page.charges)
        for charge in page.charges:
            if charge.refunded is None:
                adapter.charge(charge.id, deadline)
                reads += 1
        if (cursor := page.cursor) is None:
            break
    http.close()
    return {"pages": pages, "reads": reads, "listed": listed}
