"""Do Stripe and the processors accept these keys, and do the clocks agree?

We send each of them a harmless request with the key that the functions use. A processor is asked
for its list of payments, or for a refund or a payment that does not exist; Stripe is asked for a
Payment Record that does not exist.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from urllib.parse import urlencode

from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.api_key import ApiKey, KeyUnavailableError
from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.http.messages import ExchangeError, HttpAnswer, HttpRequest
from refund_bridge.config import ConfigurationError
from refund_bridge.domain.refund import STRIPE
from refund_bridge.ports.processor import ChargeNotFoundError, Processor, ProviderUnavailableError
from refund_bridge.ports.runtime import Clock, Deadline
from refund_bridge.processors.registry import REGISTRY, build
from refund_bridge.processors.shared.settings import ProcessorSettings
from refundctl.checks.finding import Finding, fail, fine, warn
from refundctl.options import Call
from refundctl.processors import settings_of
from refundctl.world import provider_keys

NOBODYS_REPORT = {
    "outcome": "refunded",
    "amount[value]": "1",
    "amount[currency]": "usd",
    "processor_details[type]": "custom",
    "processor_details[custom][refund_reference]": "refundctl-doctor",
    "refunded[refunded_at]": "1",
}
PROBE_MS = 10_000
NOBODYS_RECORD = "pr_refundctl_doctor"
NOBODYS_CHARGE = "ch_refundctl_doctor"
# All processors accept the form of this id.
NOBODYS_ID = "00000000-0000-0000-0000-000000000000"
# The `Date` header has whole seconds. Leases and tolerances allow clocks to differ by minutes.
SKEW_WARN_MS = 5_000
SKEW_FAIL_MS = 60_000


@dataclass(frozen=True)
class Probe:
    """A harmless request, and the HTTP statuses that mean that all is well."""

    provider: str
    ask: Callable[[DeadlineHttp, Deadline], object]
    good: tuple[int, ...]


class Overheard(DeadlineHttp):
    """An HTTP client that keeps the last answer or error, before an adapter interprets it."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self._end: HttpAnswer | ExchangeError = ExchangeError("nothing was sent")

    def send(self, request: HttpRequest, deadline: Deadline, *, fresh: bool = False) -> HttpAnswer:
        """As `DeadlineHttp` does."""
        try:
            self._end = super().send(request, deadline, fresh=fresh)
        except ExchangeError as error:
            self._end = error
            raise
        return self._end

    def answer(self) -> HttpAnswer:
        """The last answer; raises `ExchangeError` if there was none."""
        if isinstance(self._end, ExchangeError):
            raise self._end
        return self._end


@dataclass(frozen=True)
class GivenKey:
    """A key that was passed in; there is no newer one to read."""

    text: str

    def current(self) -> str:
        """The key."""
        return self.text

    def refreshed(self) -> None:
        """Always `None`: there is no newer key."""

    def __repr__(self) -> str:
        return "GivenKey(***)"


def check(call: Call) -> Iterator[Finding]:
    """Check every processor, Stripe, and how far their clocks are from this machine's."""
    clock, given = SystemClock(), call.target.stack.parameters
    try:
        keys, settings = provider_keys(call.target, clock), settings_of(given)
    except ConfigurationError as error:
        yield fail("providers with these keys", f"not asked: {error}", "Mend the set-up first.")
        return
    makers: dict[str, tuple[ApiKey, Callable[[str], Probe]]] = {
        REGISTRY[name].title: (keys.processors[name], _processor_probes(name, settings[name]))
        for name in settings
        if name != STRIPE  # its key and its clock are Stripe's, asked for below
    }
    makers["Stripe"] = (keys.stripe, lambda key: stripe_probe(given["StripeUrl"], key))
    for provider, (key, make) in makers.items():
        try:
            probe = make(key.current())
        except (KeyUnavailableError, ConfigurationError) as error:
            what = f"{provider} with this key"
            yield fail(what, f"not asked: {error}", "Mend the secrets first.")
        else:
            yield from _asked(probe, clock)
            if provider == "Stripe":
                yield ask(stripe_right_to_report(given["StripeUrl"], key.current()), clock)
                if STRIPE in settings:
                    yield ask(stripe_right_to_refund(given["StripeUrl"], key.current()), clock)


def _processor_probes(name: str, settings: ProcessorSettings) -> Callable[[str], Probe]:
    return lambda key: processor_probe(name, settings, key)


def _asked(probe: Probe, clock: Clock) -> Iterator[Finding]:
    sent_ms = clock.now_ms()
    try:
        answer = _answer(probe, clock)
    except ExchangeError as error:
        yield unreachable(probe.provider, error.reason)
        return
    yield reachable(probe, answer)
    yield clocks(probe.provider, answer.headers.get("Date"), (sent_ms + clock.now_ms()) // 2)


def processor_probe(name: str, settings: ProcessorSettings, key: str) -> Probe:
    """A read that names no real payment, chosen by what the processor's interface can do."""

    def ask(http: DeadlineHttp, deadline: Deadline) -> object:
        return _harmless(build(name, settings, GivenKey(key), http), deadline)

    is_a_list = REGISTRY[name].capabilities.lists_charges
    return Probe(REGISTRY[name].title, ask, (200,) if is_a_list else (404,))


def _harmless(processor: Processor, deadline: Deadline) -> object:
    can = processor.capabilities
    if can.lists_charges:
        return processor.charges(None, deadline)
    if can.shows_refunds:
        return processor.processor_refund(NOBODYS_ID, deadline)
    return processor.charge(NOBODYS_ID, deadline)


def stripe_probe(url: str, key: str) -> Probe:
    """Read a Payment Record that does not exist."""
    record = f"{url.rstrip('/')}/v1/payment_records/{NOBODYS_RECORD}"
    request = HttpRequest("GET", record, {"Authorization": f"Bearer {key}"})
    return Probe("Stripe", lambda http, deadline: http.send(request, deadline), (404,))


def stripe_right_to_report(url: str, key: str) -> Probe:
    """Report to a Payment Record that does not exist: Stripe refuses a key without the right."""
    path = f"/v1/payment_records/{NOBODYS_RECORD}/report_refund"
    probe = _right("Stripe's right to report", f"{url.rstrip('/')}{path}", key, NOBODYS_REPORT)
    return replace(probe, good=(404,))


def stripe_right_to_refund(url: str, key: str) -> Probe:
    """Refund a charge that does not exist, for a stage that refunds at Stripe."""
    asked = {"charge": NOBODYS_CHARGE, "amount": "1"}
    return _right("Stripe's right to refund", f"{url.rstrip('/')}/v1/refunds", key, asked)


def _right(what: str, address: str, key: str, asked: Mapping[str, str]) -> Probe:
    headers = {
        "Authorization": f"Bearer {key}",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    request = HttpRequest("POST", address, headers, urlencode(asked).encode())
    # The path names the missing object (404), or a parameter does: then Stripe answers 400.
    return Probe(what, lambda http, deadline: http.send(request, deadline), (400, 404))


def ask(probe: Probe, clock: Clock) -> Finding:
    """Send the probe, and say what the provider's answer means for the key."""
    try:
        answer = _answer(probe, clock)
    except ExchangeError as error:
        return unreachable(probe.provider, error.reason)
    return reachable(probe, answer)


def _answer(probe: Probe, clock: Clock) -> HttpAnswer:
    with closing(Overheard(clock)) as http:
        # How the adapter interprets the answer does not matter here: its status is enough.
        with suppress(ProviderUnavailableError, ChargeNotFoundError, ExchangeError):
            probe.ask(http, Deadline.after(clock, PROBE_MS))
        return http.answer()


def reachable(probe: Probe, answer: HttpAnswer) -> Finding:
    """Whether an answer of this status means that the provider accepts the key."""
    what = f"{probe.provider} with this key"
    if answer.status in probe.good:
        return fine(what, "answers")
    if answer.status in (401, 403):
        todo = "It was revoked, is another environment's or lacks the right: put the right one."
        return fail(what, f"refuses the key ({answer.status})", todo)
    if answer.status == 429 or answer.status >= 500:
        todo = f"Look at {probe.provider}'s status page; meanwhile callers may get 503."
        return warn(what, f"is in trouble ({answer.status})", todo)
    return fail(what, f"answers {answer.status}", f"Is the address {probe.provider}'s?")


def unreachable(provider: str, reason: str) -> Finding:
    """The finding when the provider gave no answer."""
    todo = f"Look at {provider}'s status page, and at this machine's network."
    if "TLS" in reason:
        todo = (
            "Behind a gateway with a certificate of your own? Its authority goes into"
            " PrivateCaLayerArn, and here into the file that PRIVATE_CA names. Python 3.13, on"
            " which functions run, refuses authorities that older ones took."
        )
    return fail(f"{provider} with this key", f"gives no answer: {reason}", todo)


def clocks(provider: str, date: str | None, now_ms: int) -> Finding:
    """How far this machine's clock is from the provider's."""
    what = f"clock against {provider}'s"
    try:
        # The date is cut to the whole second: on average it is half a second too early.
        theirs_ms = int(parsedate_to_datetime(date or "").timestamp()) * 1000 + 500
    except (TypeError, ValueError):
        return warn(what, "the answer has no date", "Compare the clocks by hand.")
    skew_ms = now_ms - theirs_ms
    told = f"{abs(skew_ms) // 1000} s {'ahead' if skew_ms > 0 else 'behind'}"
    todo = "Set this machine's clock; on AWS the functions have their own."
    if abs(skew_ms) > SKEW_FAIL_MS:
        return fail(what, told, todo)
    return warn(what, told, todo) if abs(skew_ms) > SKEW_WARN_MS else fine(what, told)
