"""Runs the Stripe SDK on this product's own HTTP client, so that SDK calls keep a deadline.

``stripe.HTTPClient`` is the SDK's extension point (https://github.com/stripe/stripe-python,
"Configuring an HTTP client"). One instance serves one SDK call and has its deadline, so no
thread-local or context is needed to pass it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import stripe
from urllib3 import HTTPHeaderDict

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.adapters.http.exact_json import json_object
from refund_bridge.adapters.http.messages import ExchangeError, HttpAnswer, HttpRequest
from refund_bridge.ports.runtime import Deadline


class DeadlineStripeHttp(stripe.HTTPClient):
    """Carries one SDK call over ``DeadlineHttp``; never retries by itself.

    Args:
        http: the HTTP client.
        deadline: the SDK call ends by then, with an answer or ``stripe.APIConnectionError``.
        fresh: whether to use a new connection, because an older one has just failed.
    """

    name: ClassVar[str] = "refund-bridge"

    def __init__(self, http: DeadlineHttp, deadline: Deadline, *, fresh: bool) -> None:
        super().__init__()
        self._http = http
        self._deadline = deadline
        self._fresh = fresh

    def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None,
        post_data: Any = None,
        *,
        _usage: list[str] | None = None,
    ) -> tuple[str, int, Mapping[str, str]]:
        """Send once; the SDK's own contract.

        Raises:
            stripe.APIConnectionError: no whole answer came.
        """
        body = post_data.encode() if isinstance(post_data, str) else post_data
        request = HttpRequest(method.upper(), url, dict(headers or {}), body)
        try:
            answer = self._http.send(request, self._deadline, fresh=self._fresh)
        except ExchangeError as error:
            # the SDK does not type this constructor
            raise stripe.APIConnectionError(error.reason) from error  # type: ignore[no-untyped-call]
        headers = HTTPHeaderDict(answer.headers)
        # The SDK would make a Python warning of this header: Stripe's advice for developers.
        headers.discard("Stripe-Notice")
        return _readable(answer), answer.status, headers

    def close(self) -> None:
        """Do nothing: the connections belong to the HTTP client, which is used for later calls."""


def _readable(answer: HttpAnswer) -> str:
    """The body if it is of Stripe's form, else nothing.

    The SDK reports an empty body as an ``APIError`` with the status. Any other body that is not of
    Stripe's form (HTML, ``null``, an ``error`` that is no object) it would repeat in its message,
    or fail on.
    """
    body = json_object(answer.body)
    if body is None or not (answer.is_success or isinstance(body.get("error"), dict)):
        return ""
    return answer.body.decode()
