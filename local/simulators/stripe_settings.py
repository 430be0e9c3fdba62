"""The switches of the Stripe simulator: one for every point its documents leave open."""

from dataclasses import dataclass

from local.simulators.settings import choice


@dataclass(frozen=True)
class StripeSettings:
    """How Stripe behaves where its documents say nothing.

    The three codes are values of `code` in refused reports; None leaves the member out.
    report_metadata: whether a report's metadata is merged into the record's ("record") or kept
        with the attempt, where a record does not show it ("attempt").
    refunds_max: how many refunds one charge that Stripe took can have.
    reported_by: whether a Payment Record says who reported it; the documents' samples do not.
    requests_per_second: more requests to one endpoint are refused with 429; 0 is no limit.
    """

    duplicate_reference_code: str | None = None
    amount_too_large_code: str | None = None
    already_refunded_code: str | None = "charge_already_refunded"
    report_metadata: str = choice("record", "attempt")
    reported_by: str = choice("shown", "absent")
    requests_per_second: int = 0
    refunds_max: int = 1000
    clock_offset_seconds: int = 0
