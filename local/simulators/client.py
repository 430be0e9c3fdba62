"""A typed client of the control routes, for tests and for `make run`."""

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlencode

import urllib3
from urllib3.exceptions import HTTPError

from local.simulators import fields
from local.simulators.json_text import JsonObject, decode_object, encode
from local.simulators.records import MadeRefund, RecordedCall, RecordedReport, SimulatedRefund
from local.simulators.seeding import Seed

_TIMEOUT = urllib3.Timeout(connect=2, read=10)


class ControlError(Exception):
    """The simulator did not accept a control call."""


class SimulatorControl:
    """Seeding, faults, settings, journal and books of all simulators.

    Attributes:
        urls: each simulator's address, by the provider's name: "hitpay", "stripe", "hyperswitch"...
    """

    def __init__(
        self, hitpay_url: str, stripe_url: str, other_urls: Mapping[str, str] | None = None
    ) -> None:
        self.hitpay_url = hitpay_url
        self.stripe_url = stripe_url
        self.urls = {"hitpay": hitpay_url, "stripe": stripe_url, **(other_urls or {})}
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, retries=False)

    @classmethod
    def announced(cls, path: Path) -> "SimulatorControl":
        """Return a client of the simulators that wrote this --announce file."""
        facts = decode_object(path.read_text())
        urls = {
            name.removesuffix("_url"): fields.text(facts, name)
            for name in facts
            if name.endswith("_url")
        }
        return cls(urls.pop("hitpay"), urls.pop("stripe"), urls)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()

    def reset(self) -> None:
        """Return all simulators to the state of a fresh start, faults and journal included."""
        for provider in self.urls:
            try:
                self._post(provider, "reset", {})
            except HTTPError:  # its port is closed
                self.set_listening(provider, True)
                self._post(provider, "reset", {})

    def seed(self, seed: Seed) -> None:
        """Add payments to all sides."""
        self._post("hitpay", "seed", seed.for_hitpay())
        self._post("stripe", "seed", seed.for_stripe())
        for provider in seed.others:
            self._post(provider, "seed", seed.for_other(provider))

    def seed_processor(self, provider: str, objects: JsonObject) -> None:
        """Add payments and payment_methods to a processor other than HitPay."""
        self._post(provider, "seed", objects)

    def set_keys(self, provider: str, *keys: str) -> None:
        """Replace the valid API keys of a provider."""
        self._post(provider, "keys", {"keys": list(keys)})

    def set_processor(self, provider: str, **settings: str | int | bool | None) -> None:
        """Change settings of a processor; see HyperswitchSettings, HedgeSettings, CcgSettings."""
        self._post(provider, "settings", settings)

    def set_hitpay(self, **settings: str | int | bool | None) -> None:
        """Change settings of HitPay; see HitPaySettings."""
        self._post("hitpay", "settings", settings)

    def set_stripe(self, **settings: str | int | bool | None) -> None:
        """Change settings of Stripe; see StripeSettings."""
        self._post("stripe", "settings", settings)

    # -- faults

    def add_fault(  # noqa: PLR0913 -- a rule's members, most of them optional
        self,
        provider: str,
        operation: str,
        fault: str,
        *,
        times: int | None = 1,
        probability: Decimal | int | str = 1,
        seed: int = 0,
        match: str | None = None,
        seconds: Decimal | float | None = None,
        **more: object,
    ) -> int:
        """Add a fault rule and return its id; times None means until cleared."""
        rule: JsonObject = {
            "provider": provider,
            "operation": operation,
            "fault": fault,
            "times": times,
            "probability": Decimal(probability),
            "seed": seed,
            "match": match,
            **more,
        }
        if seconds is not None:
            rule["seconds"] = Decimal(str(seconds))
        return fields.whole(self._post("hitpay", "faults", rule), "id")

    def clear_faults(self) -> None:
        """Remove all fault rules of all providers; calls that already wait keep waiting."""
        self._call("hitpay", "DELETE", "faults")

    def faults(self) -> list[JsonObject]:
        """Return the rules as given, each with `id` and how often it has `fired`."""
        return fields.objects(self._call("hitpay", "GET", "faults"), "data")

    def set_listening(self, provider: str, on: bool) -> None:
        """Close a provider's port, so that connections are refused, or open it again."""
        other = "stripe" if provider == "hitpay" else "hitpay"
        self._post(other, "listening", {"provider": provider, "on": on})

    # -- what has happened

    def calls(
        self, provider: str | None = None, operation: str | None = None
    ) -> list[RecordedCall]:
        """Return the API calls of all simulators in the order in which they arrived."""
        asked = {"provider": provider, "operation": operation}
        query = {name: value for name, value in asked.items() if value is not None}
        answer = self._call("hitpay", "GET", "calls", query=query)
        return [RecordedCall.read(item) for item in fields.objects(answer, "data")]

    def refunds(self, payment_id: str | None = None) -> list[MadeRefund]:
        """Return the refunds that HitPay has made, of one charge or of all."""
        made = fields.objects(self._call("hitpay", "GET", "state"), "refunds")
        refunds = [MadeRefund.read(item) for item in made]
        return [item for item in refunds if payment_id in (None, item.payment_id)]

    def processor_refunds(
        self, provider: str, payment_id: str | None = None
    ) -> list[SimulatedRefund]:
        """Return the refunds that a processor other than HitPay has made, of one payment or all."""
        made = fields.objects(self._call(provider, "GET", "state"), "refunds")
        refunds = [SimulatedRefund.read(item) for item in made]
        return [item for item in refunds if payment_id in (None, item.payment_id)]

    def reports(
        self, payment_record: str | None = None, *, with_seeded: bool = False
    ) -> list[RecordedReport]:
        """Return the reports that Stripe has accepted, without those it was seeded with."""
        query = {} if payment_record is None else {"payment_record": payment_record}
        answer = self._call("stripe", "GET", "reports", query=query)
        reports = [RecordedReport.read(item) for item in fields.objects(answer, "data")]
        return [report for report in reports if with_seeded or not report.seeded]

    def state(self, provider: str) -> JsonObject:
        """Return everything a simulator knows, as plain JSON."""
        return self._call(provider, "GET", "state")

    # -- what happens behind the caller's back

    def dashboard_refund(self, payment_id: str, amount: str) -> str:
        """Refund in HitPay's dashboard (amount as "25.00"); returns the refund's id."""
        body = {"payment_id": payment_id, "amount": amount}
        return fields.text(self._post("hitpay", "dashboard-refunds", body), "id")

    def set_refund_status(self, refund_id: str, status: str) -> None:
        """Set the state of a HitPay refund: succeeded, failed or pending."""
        self._post("hitpay", f"refunds/{refund_id}/status", {"status": status})

    def refund_at_processor(self, provider: str, payment_id: str, amount: int) -> str:
        """Refund in the dashboard of another processor, in its own unit; returns the id."""
        body = {"payment_id": payment_id, "amount": amount}
        return fields.text(self._post(provider, "dashboard-refunds", body), "id")

    def set_processor_refund(
        self, provider: str, refund_id: str, status: str, **error: str
    ) -> None:
        """Set the state of a refund at another processor, in the processor's own words, with an
        error_code and an error_message if it has them."""
        self._post(provider, f"refunds/{refund_id}/status", {"status": status, **error})

    def forget_idempotency_keys(self) -> int:
        """Let Stripe forget its idempotency keys, as after a day; returns how many."""
        return fields.whole(self._post("stripe", "forget-idempotency-keys", {}), "forgotten")

    def let_late_arrive(self, provider: str) -> int:
        """Let a provider process now what late commits keep back; returns how many calls."""
        return fields.whole(self._post(provider, "late", {}), "arrived")

    def _post(self, provider: str, path: str, body: Mapping[str, object]) -> JsonObject:
        return self._call(provider, "POST", path, body=encode(body))

    def _call(
        self,
        provider: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: str | None = None,
    ) -> JsonObject:
        url = f"{self.urls[provider]}/_control/{path}"
        if query:
            url += "?" + urlencode(query)
        response = self._pool.request(method, url, body=body)
        if response.status != 200:
            raise ControlError(f"{method} {url}: {response.status} {response.data.decode()}")
        return decode_object(response.data)
