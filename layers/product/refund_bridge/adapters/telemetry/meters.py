"""What is counted: from the events that the use cases note to CloudWatch's metrics, as one table.

A metric is told apart by words of short lists only, never by an id: every combination is a series
that is paid for. A stack that is set up for two processors has at most ``SERIES_MAX``, and only
those that something happened to are written. What has a word that is not on its list is not counted
in that metric; its log line says it all the same. Alarms and dashboard of the template read these
names; ``tests/template/test_metrics.py`` holds the two together.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

from refund_bridge.domain.refund import STRIPE

SERIES_MAX: Final = 46

# Those of the registry, which stands above the adapters; tests hold the two together.
PROCESSORS: Final = ("hitpay", "hyperswitch", "hedge", "ccg", STRIPE)
# As callers are told. What is still pending is no outcome: it is measured by its age.
OUTCOMES: Final = ("succeeded", "failed", "review")
# Sums of different currencies cannot be added, so there is no "other" among these.
CURRENCIES: Final = ("sgd", "myr", "php", "eur", "usd")
# Stripe is one provider, whether it is told of refunds or makes them itself.
CALLS: Final = (
    *product(PROCESSORS, ("read", "refund")),
    *product((STRIPE,), ("report", "credit_note")),
)
PROVIDERS: Final = tuple((name,) for name in PROCESSORS)

# What no waiting mends: two books say different things of the same money, or what would tell cannot
# be asked.
_DISAGREEMENTS: Final = (
    "guard_tripped",
    "ids_do_not_fit",
    "link_disagrees",
    "movement_already_claimed",
    "movement_contradicts",
    "movement_disagrees",
    "over_refunded",
    "refund_moved_after_all",
    "refunds_not_listed",
    "report_waits",
    "sent_to_another_account",
    "stripe_higher",
    "stripe_lower",
    "trace_leads_elsewhere",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A metric that an event feeds.

    Attributes:
        value: the fact that is its value, an integer; ``None``: the event itself is counted.
        dimensions: the facts by which it is told apart, which are its dimensions' names as well.
        series: the values that they may have, together.
        where: facts that the event must have to be counted.
    """

    name: str
    unit: MetricUnit = MetricUnit.Count
    value: str | None = None
    dimensions: tuple[str, ...] = ()
    series: tuple[tuple[str, ...], ...] = ((),)
    where: Mapping[str, str | bool] = field(default_factory=dict)


_REFUNDED: Final = Meter(
    name="RefundedAmount",
    unit=MetricUnit.NoUnit,  # minor units of the currency
    value="amount",
    dimensions=("currency",),
    series=tuple((currency,) for currency in CURRENCIES),
    where={"outcome": "succeeded"},
)

METERS: Final[Mapping[str, tuple[Meter, ...]]] = {
    # Refunds.
    "refund_moved": (
        Meter(
            name="RefundOutcomes",
            dimensions=("processor", "outcome"),
            series=tuple(product(PROCESSORS, OUTCOMES)),
        ),
        _REFUNDED,
    ),
    "refund_imported": (Meter(name="DashboardRefunds", where={"adopted": False}),),
    "payment_observed": (
        Meter(name="DashboardRefundsIgnored", where={"observed": "no_trace_of_stripe"}),
    ),
    "refund_taken_back": (Meter(name="RefundsTakenBack"),),
    "open_refunds": (
        Meter(name="OldestOpenAge", unit=MetricUnit.Seconds, value="oldest_s"),
        Meter(name="UnknownRefunds", value="unknown"),
        Meter(name="ReviewRefunds", value="review"),
    ),
    # What Stripe is told.
    "refund_reported": (Meter(name="ReportLag", unit=MetricUnit.Milliseconds, value="lag_ms"),),
    "report_delayed": (Meter(name="ReportAge", unit=MetricUnit.Milliseconds, value="age_ms"),),
    "report_failed": (Meter(name="ReportsFailed"),),
    "credit_note_failed": (Meter(name="CreditNotesFailed"),),
    # Calls to the two providers.
    "provider_called": (
        Meter(
            name="ProviderLatency",
            unit=MetricUnit.Milliseconds,
            value="took_ms",
            dimensions=("provider", "call"),
            series=CALLS,
        ),
        # One or nothing for each call, so that its average is the share of calls that failed.
        Meter(name="ProviderFailures", value="failed", dimensions=("provider",), series=PROVIDERS),
        Meter(name="CredentialsRefused", where={"outcome": "credential_refused"}),
        Meter(name="AnswersUnreadable", where={"outcome": "unreadable"}),
        # One or nothing for each instruction, so that its average is the share that was refused.
        Meter(name="OrdersRefused", value="refused", where={"call": "refund"}),
    ),
    # Who asks.
    "api_key_refused": (Meter(name="ApiKeysRefused"),),
    "webhook_refused": (Meter(name="WebhooksRefused"),),
    "request_refused": (Meter(name="RequestsRefused"),),
    # Who is told.
    "events_published": (Meter(name="EventsPublished", value="events"),),
    "event_not_published": (Meter(name="EventsUnpublished"),),
    "event_still_unpublished": (Meter(name="EventsUnpublished"),),
    "not_published_again": (Meter(name="EventsUnpublished"),),
    "event_given_up": (Meter(name="EventsGivenUp"),),
    "webhook_delivered": (
        Meter(name="WebhooksDelivered"),
        Meter(name="WebhookLag", unit=MetricUnit.Milliseconds, value="age_ms"),
    ),
    # What was not taken is as late as it is old.
    "webhook_not_taken": (
        Meter(name="WebhookAttemptsFailed"),
        Meter(name="WebhookLag", unit=MetricUnit.Milliseconds, value="age_ms"),
    ),
    # What waits although no address refused it.
    "webhook_address_missing": (Meter(name="WebhooksNotTried"),),
    "webhook_not_tried": (Meter(name="WebhooksNotTried"),),
    # That the schedules fire.
    "settle_run": (Meter(name="SettleRuns"),),
    "swept": (Meter(name="SweepRuns"),),
    **{event: (Meter(name="BooksDisagree"),) for event in _DISAGREEMENTS},
}
