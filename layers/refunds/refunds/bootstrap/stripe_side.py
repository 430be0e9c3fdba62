"""Stripe, as every function that asks it does."""

from dataclasses import dataclass

from refunds.adapters.api_key import ApiKey
from refunds.adapters.breaker import Breaker
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.guarded_ports import GuardedBook, GuardedCreditNotes
from refunds.adapters.mode_check import ModeCheckedKey
from refunds.adapters.ssm_secrets import Secrets
from refunds.adapters.stripe_book import StripeBook
from refunds.adapters.stripe_credit_notes import StripeCreditNotes
from refunds.adapters.watched_ports import WatchedBook, WatchedCreditNotes
from refunds.bootstrap.trails import calls_to
from refunds.config import Mode, Settings
from refunds.ports import Clock, Trail

STRIPE_SECRET_KEY = "stripe-secret-key"  # noqa: S105 - a parameter's name, not its value


@dataclass(frozen=True, slots=True)
class StripeSide:
    """The book and its credit notes, each behind a breaker of its own."""

    book: GuardedBook
    credit_notes: GuardedCreditNotes


def key_of(name: str, secrets: Secrets, mode: Mode) -> ApiKey:
    """The key of that name; Stripe's is refused if it is of another mode."""
    key = secrets.secret(name)
    return ModeCheckedKey(key, mode) if name == STRIPE_SECRET_KEY else key


def stripe_side(
    settings: Settings, secrets: Secrets, http: DeadlineHttp, clock: Clock, trail: Trail
) -> StripeSide:
    """Stripe with the key ``STRIPE_SECRET_KEY`` of these secrets."""
    url, key = settings.stripe_url, key_of(STRIPE_SECRET_KEY, secrets, settings.mode)
    calls = calls_to("stripe", clock, trail, tracing=settings.tracing)
    book = StripeBook(base_url=url, key=key, http=http)
    credit_notes = StripeCreditNotes(base_url=url, key=key, http=http)
    return StripeSide(
        GuardedBook(WatchedBook(book, calls), Breaker("stripe", clock, trail)),
        GuardedCreditNotes(
            WatchedCreditNotes(credit_notes, calls), Breaker("stripe credit notes", clock, trail)
        ),
    )
