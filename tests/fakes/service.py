"""The deployed interface in this process: the product's own checks, use case and answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.contract.requests import validate_body
from refund_bridge.domain.errors import RefundBridgeError
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.domain.refund_request import Source
from refund_bridge.http.answers import ApiAnswer, answer_of, error_answer
from refund_bridge.refunding.command import CreateRefund
from refundctl.refunding.service import ServiceAnswer
from tests.fakes.world import STAGE, World


@dataclass
class InProcess:
    """`refundctl.refunding.service.Service` on a world.

    Attributes:
        mishaps: what happens at the next calls, oldest first: an answer given instead of the real
            one, or an action before it; `None`: nothing.
        asked: the keys of requests, or the ids of refunds that are read, in order.
    """

    world: World
    mishaps: list[ServiceAnswer | Callable[[], object] | None] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)

    def create(self, key: str, body: Mapping[str, Any]) -> ServiceAnswer:
        # The world's clock and fakes work for only one caller at a time.
        with self._lock:
            self.asked.append(key)
            mishap = self.mishaps.pop(0) if self.mishaps else None
            if isinstance(mishap, ServiceAnswer):
                return mishap
            if mishap is not None:
                mishap()
            answer = self._answer(key, body)
            retry = answer.headers.get("Retry-After")
            return ServiceAnswer(answer.status, answer.body, int(retry) if retry else None)

    def sync(self, refund_id: str) -> ServiceAnswer:
        self.asked.append(refund_id)
        if self.mishaps and isinstance(self.mishaps[0], ServiceAnswer):
            return self.mishaps[0]
        try:
            found = self.world.read_refund(refund_id, sync_until=self.world.deadline())
            answer = ApiAnswer(200, refund_object(*found))
        except RefundBridgeError as error:
            answer = error_answer(error, "request-1")
        return ServiceAnswer(answer.status, answer.body)

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def _answer(self, key: str, body: Mapping[str, Any]) -> ApiAnswer:
        try:
            command = CreateRefund(
                refund_id=refund_id_of(key, STAGE),
                request=validate_body(dict(body)).normalised(),
                source=Source.API,
                actor="api_key:desk",
                token=self.world.new_token(),
                idempotency_key=key,
            )
            return answer_of(self.world.execute(command, self.world.deadline()), "request-1")
        except RefundBridgeError as error:
            return error_answer(error, "request-1")
