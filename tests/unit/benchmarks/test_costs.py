"""A million refunds cost what their parts cost."""

from dataclasses import fields

import pytest

from benchmarks.costs import Usage, dollars, measure, prices, usage_of

TRIP = {
    "milliseconds": 500.0,
    "logged_bytes": 700,
    "aws": {"table_write_units": 10, "index_write_units": 6, "read_units": 3.0},
}


def test_everything_that_is_used_has_a_price_and_a_page() -> None:
    listed = prices()
    for one in fields(Usage):
        assert listed[one.name]["dollars"] > 0
        assert listed[one.name]["page"].startswith("https://aws.amazon.com/")


def test_an_invocation_uses_what_was_counted() -> None:
    used = usage_of(TRIP, gateway=True, queue=True)
    assert used.lambda_gb_second == pytest.approx(0.5)
    assert (used.api_gateway_request, used.lambda_request, used.sqs_request) == (1, 1, 3)
    assert (used.dynamodb_write_unit, used.dynamodb_read_unit) == (16, 3.0)
    assert used.log_gb == pytest.approx(1e-6)


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
    )
    part = measure(dict.fromkeys(names, TRIP))
    sums = {
        name: sum(items.values()) for name, items in part.numbers["dollars_per_million"].items()
    }
    assert part.rows[-1].value == pytest.approx(sums["ours, first refund"] / sums["guide"])
    assert part.rows[-1].at_most == 1.2
