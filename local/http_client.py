"""Call the contract's HTTP interface, as a caller of the service would."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import urllib3

TIMEOUT = urllib3.Timeout(connect=5, read=60)


@dataclass(frozen=True)
class Answer:
    """An answer of the service. `body` is None if it was not JSON."""

    status: int
    headers: Mapping[str, str]
    body: Any
    text: str


@dataclass(frozen=True)
class Exchange:
    """A request as it was sent, with its path below the API's address, and its answer."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    answer: Answer


class RefundApiClient:
    """A caller with one API key. It never retries: whoever uses it decides that.

    Attributes:
        observer: called with every exchange of every caller, in the thread that asked.
    """

    observer: ClassVar[Callable[[Exchange], object] | None] = None

    def __init__(self, api_url: str, api_key: str) -> None:
        self.api_url = api_url
        self._api_key = api_key
        self._pool = urllib3.PoolManager(timeout=TIMEOUT, retries=False, maxsize=64)

    def create_refund(self, idempotency_key: str, **body: Any) -> Answer:
        """POST /v1/refunds."""
        return self.request(
            "POST", "/v1/refunds", body=body, headers={"Idempotency-Key": idempotency_key}
        )

    def create_payout(self, idempotency_key: str, **body: Any) -> Answer:
        """POST /v1/payouts."""
        return self.request(
            "POST", "/v1/payouts", body=body, headers={"Idempotency-Key": idempotency_key}
        )

    def read_refund(self, refund_id: str) -> Answer:
        """GET /v1/refunds/{id}."""
        return self.request("GET", f"/v1/refunds/{refund_id}")

    def request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send any request; `raw` is sent as it is, `body` as JSON."""
        sent = {"Authorization": f"Bearer {self._api_key}", **(headers or {})}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            sent.setdefault("Content-Type", "application/json")
        response = self._pool.request(method, self.api_url + path, body=raw, headers=sent)
        text = response.data.decode(errors="replace")
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        answer = Answer(response.status, response.headers, parsed, text)
        if RefundApiClient.observer is not None:
            RefundApiClient.observer(Exchange(method, path, sent, raw, answer))
        return answer
