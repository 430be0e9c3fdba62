"""Calls the deployed interface, with the operator's own key or signed with their credentials."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from refund_bridge.adapters.aws_runtime.system_clock import SystemClock
from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.adapters.http.messages import ExchangeError, HttpRequest, retry_after_of
from refund_bridge.ports.runtime import Deadline
from refundctl.exits import MisusedError, UnreachableError
from refundctl.target import Target

KEY_VARIABLE = "REFUND_BRIDGE_KEY"
# The gateway gives up after 29 s.
ANSWER_MS = 35_000


@dataclass(frozen=True)
class ServiceAnswer:
    """What the interface answered; `status` 0: no complete answer came, and `code` says why."""

    status: int
    body: Mapping[str, Any]
    retry_after_s: int | None = None


class NoKeyError(MisusedError):
    """The operator gave no key of their own for the service."""


class Service(Protocol):
    """Asks for refunds and about them. A temporary failure is an answer, never an exception."""

    def create(self, key: str, body: Mapping[str, Any]) -> ServiceAnswer:
        """`POST /v1/refunds`, once."""

    def sync(self, refund_id: str) -> ServiceAnswer:
        """`GET /v1/refunds/{id}?sync=true`, once: the service first asks the processor."""

    def close(self) -> None:
        """Close the connections."""


@dataclass(frozen=True)
class HttpService:
    """`Service` over HTTP; safe to use from several threads.

    Attributes:
        url: the address of the deployed interface, without `/v1`.
        key: sent as a bearer token; `None` where calls are signed.
        target: has the credentials that sign, where calls are signed.
    """

    url: str
    key: str | None = field(repr=False)
    target: Target
    http: DeadlineHttp
    clock: SystemClock

    def create(self, key: str, body: Mapping[str, Any]) -> ServiceAnswer:
        """`POST /v1/refunds`, once."""
        headers = {"Content-Type": "application/json", "Idempotency-Key": key}
        return self._asked(
            HttpRequest(
                "POST",
                f"{self.url}/v1/refunds",
                headers,
                json.dumps(body, ensure_ascii=True).encode(),
            )
        )

    def sync(self, refund_id: str) -> ServiceAnswer:
        """`GET /v1/refunds/{id}?sync=true`, once."""
        name = quote(refund_id, safe="")
        return self._asked(HttpRequest("GET", f"{self.url}/v1/refunds/{name}?sync=true", {}))

    def _asked(self, request: HttpRequest) -> ServiceAnswer:
        deadline = Deadline.after(self.clock, ANSWER_MS)
        try:
            answer = self.http.send(self._proved(request), deadline)
        except ExchangeError as error:
            return ServiceAnswer(0, {"error": {"code": "no_answer", "message": error.reason}})
        return ServiceAnswer(answer.status, _members(answer.body), retry_after_of(answer.headers))

    def close(self) -> None:
        """Let go of connections."""
        self.http.close()

    def _proved(self, request: HttpRequest) -> HttpRequest:
        if self.key is not None:
            proof = {"Authorization": f"Bearer {self.key}"}
            return HttpRequest(
                request.method, request.url, {**request.headers, **proof}, request.body
            )
        signed = AWSRequest(request.method, request.url, dict(request.headers), request.body)
        SigV4Auth(self.target.credentials(), "execute-api", self.target.region).add_auth(signed)
        return HttpRequest(request.method, request.url, dict(signed.headers), request.body)


def service_of(target: Target, key_file: Path | None) -> HttpService:
    """The deployed interface of a target, with the operator's key.

    The key is read from the file, else from the environment, else, for the stack of this machine,
    from the file that `make run` left.

    Raises:
        NoKeyError: there is no key.
    """
    clock = SystemClock()
    signs = target.stack.parameters.get("ApiAuth") == "AWS_IAM"
    return HttpService(
        url=(target.api_url or target.stack.outputs["ApiUrl"]).rstrip("/"),
        key=None if signs else _key(target, key_file),
        target=target,
        http=DeadlineHttp(clock, limits=Limits(exchange_ms=ANSWER_MS)),
        clock=clock,
    )


def _key(target: Target, key_file: Path | None) -> str:
    if key_file is not None:
        try:
            return key_file.read_text(encoding="ascii").strip()
        except (OSError, ValueError) as error:
            raise UnreachableError(f"{key_file} cannot be read as a key.") from error
    key = os.environ.get(KEY_VARIABLE, "").strip() or target.api_key
    if not key:
        raise NoKeyError(f"Your own key is needed, in {KEY_VARIABLE} or in a --key-file.")
    return key


def _members(body: bytes) -> Mapping[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        told = None
    unreadable = {"error": {"code": "unreadable_answer", "message": "The answer is not JSON."}}
    return told if isinstance(told, dict) else unreadable
