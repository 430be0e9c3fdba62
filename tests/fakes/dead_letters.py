"""Dead letters in memory."""

from collections.abc import Mapping

from refund_bridge.ports.queues import DeadLettersError


class FakeDeadLetters:
    """``ports.queues.DeadLetters``: keeps the dead letters; can be made to fail."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, dict[str, str]]] = []
        self.is_broken = False

    def set_aside(self, body: str, reasons: Mapping[str, str]) -> None:
        if self.is_broken:
            raise DeadLettersError("the queue gave no answer")
        self.letters.append((body, dict(reasons)))
