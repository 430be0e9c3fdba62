"""Do both providers answer to these keys, and do the clocks agree?

Each is asked for something harmless with the very key that the functions use: HitPay for one line
of its list of charges, Stripe for a Payment Record that does not exist.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import Call
from refundctl.world import provider_keys
from refunds.adapters.api_key import KeyUnavailableError
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.http_messages import ExchangeError, HttpAnswer, HttpRequest
from refunds.adapters.system_clock import SystemClock
from refunds.config import ConfigurationError
from refunds.ports import Clock, Deadline

PROBE_MS = 10_000
NOBODYS_RECORD = "pr_refundctl_doctor"
# Dates have whole seconds. Leases and tolerances are made for clocks that are minutes apart.
SKEW_WARN_MS = 5_000
SKEW_FAIL_MS = 60_000


@dataclass(frozen=True)
class Probe:
    """A harmless question, and the statuses that mean that all is well."""

    provider: str
    request: HttpRequest
    good: tuple[int, ...]


def check(call: Call) -> Iterator[Finding]:
    """HitPay, Stripe, and the difference of their clocks to this machine's."""
    clock, given = SystemClock(), call.target.stack.parameters
    keys, http = provider_keys(call.target, clock), DeadlineHttp(clock)
    makers: dict[str, Callable[[], Probe]] = {
        "HitPay": lambda: hitpay_probe(given["HitPayUrl"], keys.hitpay.current()),
        "Stripe": lambda: stripe_probe(given["StripeUrl"], keys.stripe.current()),
    }
    for provider, make in makers.items():
        try:
            probe = make()
        except (KeyUnavailableError, ConfigurationError) as error:
            what = f"{provider} with this key"
            yield fail(what, f"not asked: {error}", "Mend the secrets first.")
        else:
            yield from _asked(probe, http, clock)


def _asked(probe: Probe, http: DeadlineHttp, clock: Clock) -> Iterator[Finding]:
    sent_ms = clock.now_ms()
    try:
        answer = http.send(probe.request, Deadline.after(clock, PROBE_MS))
    except ExchangeError as error:
        yield unreachable(probe.provider, error.reason)
        return
    yield reachable(probe, answer)
    yield clocks(probe.provider, answer.headers.get("Date"), (sent_ms + clock.now_ms()) // 2)


def hitpay_probe(url: str, key: str) -> Probe:
    """One line of HitPay's list of charges."""
    headers = {
        "X-BUSINESS-API-KEY": key,
        "X-Requested-With": "XMLHttpRequest",
        "Accept": "application/json",
    }
    charges = f"{url.rstrip('/')}/v1/charges?per_page=1"
    return Probe("HitPay", HttpRequest("GET", charges, headers), (200,))


def stripe_probe(url: str, key: str) -> Probe:
    """A Payment Record that does not exist."""
    record = f"{url.rstrip('/')}/v1/payment_records/{NOBODYS_RECORD}"
    headers = {"Authorization": f"Bearer {key}"}
    return Probe("Stripe", HttpRequest("GET", record, headers), (404,))


def ask(probe: Probe, clock: Clock) -> Finding:
    """What the provider says of the key, in one exchange."""
    try:
        answer = DeadlineHttp(clock).send(probe.request, Deadline.after(clock, PROBE_MS))
    except ExchangeError as error:
        return unreachable(probe.provider, error.reason)
    return reachable(probe, answer)


def reachable(probe: Probe, answer: HttpAnswer) -> Finding:
    """What the answer says of the key."""
    what = f"{probe.provider} with this key"
    if answer.status in probe.good:
        return fine(what, "answers")
    if answer.status == 401:
        todo = "The key was revoked or is another environment's: put the right one."
        return fail(what, "refuses the key (401)", todo)
    if answer.status == 403:
        return fail(what, "answers that the key may not do this (403)", "Give the key its rights.")
    if answer.status == 429 or answer.status >= 500:
        todo = f"Look at {probe.provider}'s status page; refunds wait by themselves."
        return warn(what, f"is in trouble ({answer.status})", todo)
    return fail(what, f"answers {answer.status}", f"Is the address {probe.provider}'s?")


def unreachable(provider: str, reason: str) -> Finding:
    """What no answer says."""
    todo = f"Look at {provider}'s status page, and at this machine's network."
    return fail(f"{provider} with this key", f"gives no answer: {reason}", todo)


def clocks(provider: str, date: str | None, now_ms: int) -> Finding:
    """How far this machine's clock is from the provider's."""
    what = f"clock against {provider}'s"
    try:
        # A date is the second that has begun, so on average half of one is missing.
        theirs_ms = int(parsedate_to_datetime(date or "").timestamp()) * 1000 + 500
    except (TypeError, ValueError):
        return warn(what, "the answer has no date", "Compare the clocks by hand.")
    skew_ms = now_ms - theirs_ms
    told = f"{abs(skew_ms) // 1000} s {'ahead' if skew_ms > 0 else 'behind'}"
    todo = "Set this machine's clock; on AWS the functions have their own."
    if abs(skew_ms) > SKEW_FAIL_MS:
        return fail(what, told, todo)
    return warn(what, told, todo) if abs(skew_ms) > SKEW_WARN_MS else fine(what, told)
