"""Holds every exchange of the integration tests against the OpenAPI document."""

from threading import Lock

from local.http_client import Answer, Exchange
from tests.openapi.document import exchange_problems

# The embedded cloud answers in AWS's words what the gateway answers by itself; the template's own
# words for it are held against the document in tests/template.
GATEWAYS_OWN = frozenset({403, 429, 500, 502, 503, 504})


class Watch:
    """An observer of ``RefundApiClient`` that remembers what does not keep to the document."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._problems: list[str] = []
        self.count = 0

    def __call__(self, exchange: Exchange) -> None:
        """Look at one exchange; called by many threads at once."""
        found = [] if _is_the_gateways_own(exchange.answer) else exchange_problems(exchange)
        with self._lock:
            self.count += 1
            self._problems += found

    def taken(self) -> list[str]:
        """What was found since this was last asked."""
        with self._lock:
            found, self._problems = self._problems, []
        return found


def _is_the_gateways_own(answer: Answer) -> bool:
    body = answer.body
    return answer.status in GATEWAYS_OWN and isinstance(body, dict) and set(body) == {"message"}
