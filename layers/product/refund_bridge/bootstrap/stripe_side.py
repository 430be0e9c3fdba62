"""Builds Stripe's ports, the same for every function."""

from dataclasses import dataclass

from refund_bridge.adapters.http.api_key import ApiKey
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.providers.breaker import Breaker
from refund_bridge.adapters.providers.guarded import GuardedCreditNotes, GuardedStripeReports
from refund_bridge.adapters.ssm.secrets import Secrets
from refund_bridge.adapters.stripe.credit_notes import StripeCreditNotes
from refund_bridge.adapters.stripe.key_of_mode import ModeCheckedKey
from refund_bridge.adapters.stripe.reports import StripeSdkReports
from refund_bridge.bootstrap.telemetry import calls_to
from refund_bridge.config import Mode, Settings
from refund_bridge.ports.runtime import Clock, Telemetry

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value


@dataclass(frozen=True, slots=True)
class StripeSide:
    """Reports and credit notes, each behind a breaker of its own."""

    stripe_reports: GuardedStripeReports
    credit_notes: GuardedCreditNotes


def key_of(name: str, secrets: Secrets, mode: Mode) -> ApiKey:
    """The key of that name; Stripe's is refused if it is of another mode."""
    key = secrets.secret(name)
    return ModeCheckedKey(key, mode) if name == STRIPE_SECRET_KEY else key


def stripe_side(
    settings: Settings, secrets: Secrets, http: DeadlineHttp, clock: Clock, telemetry: Telemetry
) -> StripeSide:
    """Stripe with the key ``STRIPE_SECRET_KEY`` of these secrets."""
    url, key = settings.stripe_url, key_of(STRIPE_SECRET_KEY, secrets, settings.mode)
    calls = calls_to("stripe", clock, telemetry, tracing=settings.tracing)
    stripe_reports = StripeSdkReports(base_url=url, key=key, http=http)
    credit_notes = StripeCreditNotes(base_url=url, key=key, http=http)
    return StripeSide(
        GuardedStripeReports(stripe_reports, Breaker("stripe", clock, telemetry), calls),
        GuardedCreditNotes(credit_notes, Breaker("stripe credit notes", clock, telemetry), calls),
    )
