"""The switches of the Stripe simulator: one for every point its documents leave open."""

from dataclasses import dataclass

from local.simulators.settings import choice


@dataclass(frozen=True)
class StripeSettings:
    """How Stripe behaves where its documents are silent.

    The three codes go into the `code` of a refused report; None leaves the member out.
    report_metadata: whether a report's metadata is merged into the record's ("record") or kept
        with the attempt, where a record does not show it ("attempt").
    refunds_max: how many refunds of a charge that Stripe took are made.
    reported_by: whether a Payment Record says who reported it; printed samples leave it out.
    requests_per_second: refuse with 429 what exceeds it, per endpoint; 0 is no limit.
    """

    duplicate_reference_code: str | None = None
    amount_too_large_code: str | None = None
    already_refunded_code: str | None = "charge_already_refunded"
    report_metadata: str = choice("record", "attempt")
    reported_by: str = choice("shown", "absent")
    requests_per_second: int = 0
    refunds_max: int = 1000
    clock_offset_seconds: int = 0
