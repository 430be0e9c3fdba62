"""A caller that holds each request, and each answer that nobody spoiled, against the API."""

from local.simulators.client import SimulatorControl
from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.adapters.http.messages import HttpAnswer, HttpRequest
from refund_bridge.ports.runtime import Clock, Deadline
from tests.descriptions.description import Description


class OverseenHttp(DeadlineHttp):
    """As ``DeadlineHttp``, at a simulator; what the provider does not describe fails the test.

    Args:
        control: knows which answers were spoiled on purpose.
        description: the provider's API.
    """

    def __init__(
        self,
        clock: Clock,
        control: SimulatorControl,
        description: Description,
        *,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(clock, limits=limits)
        self._control = control
        self._description = description

    def send(self, request: HttpRequest, deadline: Deadline, *, fresh: bool = False) -> HttpAnswer:
        """As ``DeadlineHttp.send``.

        Raises:
            AssertionError: the request, or an answer that nobody spoiled, is not as described.
        """
        wrong = self._description.of_request(request)
        assert not wrong, wrong
        answer = super().send(request, deadline, fresh=fresh)
        wrong = self._description.of_answer(request, answer)
        assert not wrong or self._was_spoiled(), wrong
        return answer

    def _was_spoiled(self) -> bool:
        return self._control.calls(self._description.provider)[-1].fault is not None
