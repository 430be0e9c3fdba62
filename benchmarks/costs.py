"""What AWS charges for a million refunds: counted requests and units, measured time, listed prices.

One refund is one call of the gateway, one invocation and, for ours, one report that comes alone in
its batch: the dearest case. Not in it: what is per month rather than per refund (the schedules,
storage, alarms), the publisher of events, and traffic out.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from benchmarks.results import Part, Row

PRICES = Path(__file__).with_name("prices.toml")
REFUNDS = 1_000_000
MEMORY_GB = 1
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

    def __add__(self, other: "Usage") -> "Usage":
        sums = {
            one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)
        }
        return Usage(**sums)


def prices() -> dict[str, Any]:
    """Read the list."""
    with PRICES.open("rb") as file:
        return tomllib.load(file)


def dollars(usage: Usage, listed: Mapping[str, Any], refunds: int = REFUNDS) -> dict[str, float]:
    """Price so many refunds, item by item."""
    return {
        one.name: getattr(usage, one.name)
        * refunds
        * listed[one.name]["dollars"]
        / listed[one.name]["per"]
        for one in fields(usage)
    }


def usage_of(trip: Trip, *, gateway: bool = False, queue: bool = False) -> Usage:
    """What one invocation used, as the round trips were counted."""
    aws = trip["aws"]
    return Usage(
        api_gateway_request=1 if gateway else 0,
        lambda_request=1,
        lambda_gb_second=trip["milliseconds"] / 1000 * MEMORY_GB,
        dynamodb_write_unit=aws.get("table_write_units", 0) + aws.get("index_write_units", 0),
        dynamodb_read_unit=aws.get("read_units", 0),
        sqs_request=QUEUE_REQUESTS if queue else 0,
        log_gb=(trip["logged_bytes"] + PLATFORM_LOG_BYTES) / GB,
    )


def measure(trips: Mapping[str, Trip]) -> Part:
    """Price what the round trips counted."""
    listed = prices()
    flows = {
        "ours, first refund": usage_of(
            trips["first refund, payment_record"], gateway=True, queue=True
        )
        + usage_of(trips["report of the first refund"]),
        "ours, later refund": usage_of(
            trips["later refund, payment_record"], gateway=True, queue=True
        )
        + usage_of(trips["report of the later refund"]),
        "written plainly": usage_of(trips["refund, written plainly"], gateway=True, queue=True)
        + usage_of(trips["report, written plainly"]),
        "guide": usage_of(trips["guide"], gateway=True),
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
