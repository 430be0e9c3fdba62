"""The table of metrics: which events of the use cases feed which CloudWatch metric.

A metric's dimensions only have words of short lists, never an id, because every combination is a
series that is paid for. A stack with two processors has at most ``SERIES_MAX`` series, and only
those with events are written. An event with a word that is not on the list is not counted in that
metric; its log line still has it. The template's alarms and dashboard use these names;
``tests/template/test_metrics.py`` checks that they agree.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final

from aws_lambda_powertools.metrics import MetricUnit

from refund_bridge.domain.refund import STRIPE

SERIES_MAX: Final = 46

# The names in the registry, which adapters may not import; tests check that the two agree.
PROCESSORS: Final = ("hitpay", "hyperswitch", "hedge", "ccg", STRIPE)
# The words that callers see. A pending refund has no outcome yet; its age is measured instead.
OUTCOMES: Final = ("succeeded", "failed", "review")
# Amounts of different currencies cannot be added, so there is no "other" here.
CURRENCIES: Final = ("sgd", "myr", "php", "eur", "usd")
# Stripe is one provider, both for reports and for refunds of payments that it took.
CALLS: Final = (
    *product(PROCESSORS, ("read", "refund")),
    *product((STRIPE,), ("report", "credit_note")),
)
PROVIDERS: Final = tuple((name,) for name in PROCESSORS)

# Problems that do not go away by waiting: two systems disagree about the same money, or the system
# that would know cannot be asked.
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
        dimensions: the facts that are its dimensions, under the same names.
        series: the combinations of values that the dimensions may have.
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
    # Reports to Stripe.
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
        # 1 or 0 for each call, so that the average is the share of calls that failed.
        Meter(name="ProviderFailures", value="failed", dimensions=("provider",), series=PROVIDERS),
        Meter(name="CredentialsRefused", where={"outcome": "credential_refused"}),
        Meter(name="AnswersUnreadable", where={"outcome": "unreadable"}),
        # 1 or 0 for each instruction, so that the average is the share that was refused.
        Meter(name="OrdersRefused", value="refused", where={"call": "refund"}),
    ),
    # Callers and requests.
    "api_key_refused": (Meter(name="ApiKeysRefused"),),
    "webhook_refused": (Meter(name="WebhooksRefused"),),
    "request_refused": (Meter(name="RequestsRefused"),),
    # Events and webhooks out.
    "events_published": (Meter(name="EventsPublished", value="events"),),
    "event_not_published": (Meter(name="EventsUnpublished"),),
    "event_still_unpublished": (Meter(name="EventsUnpublished"),),
    "not_published_again": (Meter(name="EventsUnpublished"),),
    "event_given_up": (Meter(name="EventsGivenUp"),),
    "webhook_delivered": (
        Meter(name="WebhooksDelivered"),
        Meter(name="WebhookLag", unit=MetricUnit.Milliseconds, value="age_ms"),
    ),
    # An event that was not taken is late by its age.
    "webhook_not_taken": (
        Meter(name="WebhookAttemptsFailed"),
        Meter(name="WebhookLag", unit=MetricUnit.Milliseconds, value="age_ms"),
    ),
    # Events that wait although no address refused them.
    "webhook_address_missing": (Meter(name="WebhooksNotTried"),),
    "webhook_not_tried": (Meter(name="WebhooksNotTried"),),
    # Proof that the schedules run.
    "settle_run": (Meter(name="SettleRuns"),),
    "swept": (Meter(name="SweepRuns"),),
    **{event: (Meter(name="BooksDisagree"),) for event in _DISAGREEMENTS},
}
