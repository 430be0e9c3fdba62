"""Reads a processor's JSON object, strictly as its documents describe it.

A wrong type of a member that the product uses makes the whole answer unreadable. Other members are
ignored.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from refund_bridge.domain.money import AMOUNT_MAX, is_currency
from refund_bridge.ports.processor import UnreadableAnswerError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TEXT_MAX: Final = 255


class Members:
    """The members of one object.

    Args:
        source: the parsed JSON.
        title: the processor in sentences.

    Raises:
        UnreadableAnswerError: ``source`` is no object; so does every reader for a wrong type.
    """

    def __init__(self, source: Any, title: str) -> None:
        if not isinstance(source, dict):
            raise UnreadableAnswerError(f"{title} answered with something that is no JSON object")
        self._source = source
        self.title = title

    def text(self, name: str) -> str:
        """A short text that is required."""
        text = self.optional_text(name)
        if text is None:
            raise UnreadableAnswerError(f"{self.title}'s answer has no {name}")
        return text

    def optional_text(self, name: str) -> str | None:
        """A short text; null, absent and empty are alike."""
        value = self._source.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str) or len(value) > _TEXT_MAX or not value.isprintable():
            raise UnreadableAnswerError(f"{name} in {self.title}'s answer is not a short text")
        return value

    def words(self, name: str) -> str:
        """Text of any kind, for people only; anything else counts as none."""
        value = self._source.get(name)
        return value if isinstance(value, str) else ""

    def currency(self, name: str = "currency") -> str:
        """A currency code, in lowercase."""
        code = self.text(name).lower()
        if not is_currency(code):
            raise UnreadableAnswerError(f"{name} in {self.title}'s answer is no currency")
        return code

    def count(self, name: str) -> int:
        """An amount in whole units of whatever the processor counts in: a JSON integer."""
        value = self._source.get(name)
        if type(value) is not int or not 0 <= value <= AMOUNT_MAX:
            raise UnreadableAnswerError(f"{name} in {self.title}'s answer is no whole amount")
        return value

    def value(self, name: str) -> Any:
        """The member's value, of any type; ``None`` if it is missing."""
        return self._source.get(name)

    def within(self, name: str) -> "Members":
        """An object inside this one."""
        return Members(self._source.get(name), self.title)

    def time_ms(self, name: str) -> int | None:
        """A time as Unix milliseconds; without an offset it is UTC.

        Text that is no time counts as absent: no money depends on it.
        """
        text = self.optional_text(name)
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(milliseconds=1)
