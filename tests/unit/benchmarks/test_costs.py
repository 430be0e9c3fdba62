"""A million refunds cost what their parts cost."""

from dataclasses import fields
from typing import Any

import pytest

from benchmarks.costs import (
    LOOKS,
    Usage,
    afterwards,
    billed_seconds,
    dollars,
    measure,
    prices,
    usage_of,
)
from benchmarks.round_trips import IDLE, LOOK, NOT_TOLD, PUBLISHED

TRIP: dict[str, Any] = {
    "milliseconds": 500.0,
    "cpu_milliseconds": 0.0,
    "logged_bytes": 700,
    "aws": {
        "table_write_units": 10,
        "index_write_units": 6,
        "read_units": 3.0,
        "refund_changes": 2,
        "history_changes": 1,
    },
}
A_GB = 1024


def test_everything_that_is_used_has_a_price_and_a_page() -> None:
    listed = prices()
    for one in fields(Usage):
        assert listed[one.name]["dollars"] > 0
        assert listed[one.name]["page"].startswith("https://aws.amazon.com/")


def test_an_invocation_uses_what_was_counted() -> None:
    used = usage_of(TRIP, A_GB, gateway=True, queue=True)
    assert used.lambda_gb_second == pytest.approx(0.5)
    assert (used.api_gateway_request, used.lambda_request, used.sqs_request) == (1, 1, 3)
    assert (used.dynamodb_write_unit, used.dynamodb_read_unit) == (16, 3.0)
    assert used.log_gb == pytest.approx(1e-6)


def test_half_the_memory_costs_half_while_a_function_waits() -> None:
    waiting = usage_of(TRIP, A_GB).lambda_gb_second
    assert usage_of(TRIP, A_GB // 2).lambda_gb_second == pytest.approx(waiting / 2)


def test_but_with_a_quarter_of_a_processor_what_it_computes_takes_four_times_as_long() -> None:
    # Given half a second, of which a tenth is spent on computing
    trip = TRIP | {"cpu_milliseconds": 50.0}
    # Then with a whole processor, and more of them, it takes as long as was measured
    assert billed_seconds(trip, 1769) == pytest.approx(0.5)
    assert billed_seconds(trip, 3538) == pytest.approx(0.5)
    # And with a quarter of one that tenth takes four times as long
    assert billed_seconds(trip, 1769 // 4) == pytest.approx(0.65, abs=0.001)


def test_what_follows_a_refund_is_priced_beside_it() -> None:
    # Given a run of settling that reads and writes more with one look than with none
    look = used(write=16, read=5, changes=2)
    idle = used(write=0, read=1)
    # And changes, of which the publisher reads something only for those that add to a history
    trips = {
        "first refund, payment_record": used(changes=2, history=2),
        "report of the first refund": used(changes=2, history=1),
        **{LOOK: look, IDLE: idle, PUBLISHED: used(read=3), NOT_TOLD: used()},
    }
    # When what follows is added up
    looks, published = afterwards(trips).values()
    # Then only what a look adds counts, for each look, and no invocation of its own
    assert (looks.dynamodb_write_unit, looks.dynamodb_read_unit) == (16 * LOOKS, 4 * LOOKS)
    assert looks.lambda_request == pytest.approx(0)
    # And the publisher is called for every change: of the refund, of its report, of every look
    assert published.lambda_request == 2 + 2 + 2 * LOOKS
    assert (published.dynamodb_read_unit, published.event) == (3 * 3, 2)


def used(*, write: int = 0, read: int = 0, changes: int = 0, history: int = 0) -> dict[str, Any]:
    """A trip that used so much of the ledger."""
    units = {"table_write_units": write, "read_units": read}
    return TRIP | {"aws": units | {"refund_changes": changes, "history_changes": history}}


def test_dollars_are_for_a_million() -> None:
    listed = {one.name: {"dollars": 0.0, "per": 1} for one in fields(Usage)}
    listed |= {"sqs_request": {"dollars": 0.4, "per": 1_000_000}}
    listed |= {"lambda_gb_second": {"dollars": 0.00001, "per": 1}}
    priced = dollars(Usage(sqs_request=3, lambda_gb_second=0.5), listed)
    assert priced["sqs_request"] == pytest.approx(1.2)
    assert priced["lambda_gb_second"] == pytest.approx(5.0)
    assert sum(priced.values()) == pytest.approx(6.2)


def test_ours_is_compared_with_the_guide() -> None:
    # Given two flows that cost the same, of which ours reports in an invocation of its own
    names = (
        "first refund, payment_record",
        "later refund, payment_record",
        "report of the first refund",
        "report of the later refund",
        "refund, written plainly",
        "report, written plainly",
        "guide",
        IDLE,
        LOOK,
        PUBLISHED,
        NOT_TOLD,
    )
    part = measure(dict.fromkeys(names, TRIP))
    sums = {
        name: sum(items.values()) for name, items in part.numbers["dollars_per_million"].items()
    }
    assert part.rows[-1].value == pytest.approx(sums["ours, first refund"] / sums["guide"])
    assert part.rows[-1].at_most == 1.2
