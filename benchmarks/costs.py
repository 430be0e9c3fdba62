"""What AWS charges for a million refunds: counted requests and units, measured time, listed prices.

One refund is one call of the gateway, one invocation and, for our service, one report that is alone
in its batch: the most expensive case. What comes after it has prices of its own: settling's checks
of the refund in its first month, each alone in its run, and the publisher of events, called for
every change. Not included: costs per month rather than per refund (schedules, storage, alarms),
webhooks to the merchant's addresses, and outgoing traffic.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.function_environment import function_memory_mb
from benchmarks.results import Part, Row
from benchmarks.round_trips import IDLE, LOOK, NOT_TOLD, PUBLISHED
from refund_bridge.settling.look_after import AFTER_STEPS

PRICES = Path(__file__).with_name("prices.toml")
REFUNDS = 1_000_000
MB_OF_A_GB = 1024
# With this memory Lambda gives one processor; with less, the same share of one.
# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
MB_OF_A_PROCESSOR = 1769
# The check that settling always makes a minute after the refund, and the later ones.
LOOKS = 1 + len(AFTER_STEPS)
# Refund Succeeded and Refund Reported.
EVENTS = 2
# Lambda's own lines around every invocation: START, END and REPORT.
PLATFORM_LOG_BYTES = 300
GB = 1_000_000_000
# Sent, received, deleted.
QUEUE_REQUESTS = 3

Trip = Mapping[str, Any]


@dataclass(frozen=True)
class Usage:
    """What one refund uses of each thing that has a price; the names are those of prices.toml."""

    api_gateway_request: float = 0
    lambda_request: float = 0
    lambda_gb_second: float = 0
    dynamodb_write_unit: float = 0
    dynamodb_read_unit: float = 0
    sqs_request: float = 0
    log_gb: float = 0
    event: float = 0

    def __add__(self, other: "Usage") -> "Usage":
        sums = {
            one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)
        }
        return Usage(**sums)

    def __mul__(self, times: float) -> "Usage":
        return Usage(**{one.name: getattr(self, one.name) * times for one in fields(self)})

    def __sub__(self, other: "Usage") -> "Usage":
        return self + other * -1


def prices() -> dict[str, Any]:
    """Read the list."""
    with PRICES.open("rb") as file:
        return tomllib.load(file)


def dollars(usage: Usage, listed: Mapping[str, Any], refunds: int = REFUNDS) -> dict[str, float]:
    """The price of a number of refunds, item by item."""
    return {
        one.name: getattr(usage, one.name)
        * refunds
        * listed[one.name]["dollars"]
        / listed[one.name]["per"]
        for one in fields(usage)
    }


def usage_of(trip: Trip, memory_mb: int, *, gateway: bool = False, queue: bool = False) -> Usage:
    """What one invocation with this memory uses, by the counted round trips."""
    aws = trip["aws"]
    return Usage(
        api_gateway_request=1 if gateway else 0,
        lambda_request=1,
        lambda_gb_second=billed_seconds(trip, memory_mb) * memory_mb / MB_OF_A_GB,
        dynamodb_write_unit=aws.get("table_write_units", 0) + aws.get("index_write_units", 0),
        dynamodb_read_unit=aws.get("read_units", 0),
        sqs_request=QUEUE_REQUESTS if queue else 0,
        log_gb=(trip["logged_bytes"] + PLATFORM_LOG_BYTES) / GB,
    )


def billed_seconds(trip: Trip, memory_mb: int) -> float:
    """How long an invocation takes with the share of a processor that this memory gives."""
    slower = max(1.0, MB_OF_A_PROCESSOR / memory_mb)
    return float(trip["milliseconds"] + trip["cpu_milliseconds"] * (slower - 1)) / 1000


def afterwards(trips: Mapping[str, Trip]) -> dict[str, Usage]:
    """Usage after a refund: all checks of it, and the publisher's calls for all of its changes."""
    settling, publishing = (
        function_memory_mb(name) for name in ("SettleRefundsFunction", "PublishEventsFunction")
    )
    look = usage_of(trips[LOOK], settling) - usage_of(trips[IDLE], settling)
    changes, told = (
        trips["first refund, payment_record"]["aws"][of]
        + trips["report of the first refund"]["aws"][of]
        + LOOKS * trips[LOOK]["aws"][of]
        for of in ("refund_changes", "history_changes")
    )
    published = usage_of(trips[PUBLISHED], publishing) * told
    not_told = usage_of(trips[NOT_TOLD], publishing) * (changes - told)
    return {
        f"its {LOOKS} looks": look * LOOKS,
        f"its {changes} changes shown": published + not_told + Usage(event=EVENTS),
    }


def measure(trips: Mapping[str, Trip]) -> Part:
    """Compute prices from the counted round trips."""
    listed = prices()
    api, background = (
        function_memory_mb(name) for name in ("RefundApiFunction", "ReportRefundFunction")
    )

    def both(refund: str, report: str) -> Usage:
        return usage_of(trips[refund], api, gateway=True, queue=True) + usage_of(
            trips[report], background
        )

    flows = {
        "ours, first refund": both("first refund, payment_record", "report of the first refund"),
        "ours, later refund": both("later refund, payment_record", "report of the later refund"),
        **afterwards(trips),
        "written plainly": both("refund, written plainly", "report, written plainly"),
        "guide": usage_of(trips["guide"], api, gateway=True),
    }
    priced = {name: dollars(usage, listed) for name, usage in flows.items()}
    sums = {name: sum(items.values()) for name, items in priced.items()}
    rows = [
        Row(
            what=f"AWS cost of a million refunds, {name}",
            value=round(total, 2),
            unit="$",
            note=", ".join(f"{item} {cost:.2f}" for item, cost in priced[name].items() if cost),
        )
        for name, total in sums.items()
    ]
    rows.append(
        Row(
            what="AWS cost of a million first refunds",
            against="the guide's flow on the same platform",
            value=sums["ours, first refund"] / sums["guide"],
            at_most=1.2,
        )
    )
    return Part(
        rows,
        {"region": listed["region"], "seen": str(listed["seen"]), "dollars_per_million": priced},
    )
