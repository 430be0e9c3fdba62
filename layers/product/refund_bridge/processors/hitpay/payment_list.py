"""Reads a page of HitPay's list of charges, in each of the three forms of its pagination.

Facts: https://docs.hitpayapp.com (charges); https://laravel.com/docs (pagination).
"""

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, Self
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from refund_bridge.domain.charge import ListedCharge
from refund_bridge.ports.processor import ChargePage, UnreadableAnswerError
from refund_bridge.processors.hitpay.charge import read_charge
from refund_bridge.processors.hitpay.members import (
    SINGAPORE,
    object_of,
    optional_text,
    text,
    time_ms,
)

# The parameters that ask for the next page, in the different forms.
CURSOR: Final = "cursor"
PAGE: Final = "page"
_LINKS: Final = ("next", "next_page_url")
# A filter: charges of later days are left out.
DATE_TO: Final = "date_to"
# Only in our own cursors: no charge of the page is newer than this day.
_DAY: Final = "day"


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the list a page begins.

    Attributes:
        asked: the parameters that ask for the page.
        day: no charge from there on is newer than this day, as far as is known.
    """

    asked: dict[str, str]
    day: date

    @classmethod
    def at(cls, cursor: str | None, now_ms: int) -> Self:
        """The place that a cursor of ours stands for; ``None``: the newest charge."""
        asked = dict(parse_qsl(cursor or ""))
        try:
            day = date.fromisoformat(asked.pop(_DAY, ""))
        except ValueError:
            day = _day_of(now_ms) + timedelta(days=1)
        return cls(asked, day)

    @property
    def beyond(self) -> str:
        """The cursor of a list that begins a day before."""
        day = self.day - timedelta(days=1)
        return urlencode({DATE_TO: day, _DAY: day})

    def leading_to(self, page: ChargePage, oldest: date | None) -> ChargePage:
        """The page with a cursor that keeps the filter of this one, and knows its oldest day.

        Raises:
            UnreadableAnswerError: the next page would be this one again.
        """
        if page.cursor is None:
            return page
        filters = {name: self.asked[name] for name in (DATE_TO,) if name in self.asked}
        asked = filters | dict(parse_qsl(page.cursor))
        if asked == self.asked:
            raise UnreadableAnswerError("HitPay's list of charges leads on to the page it is at")
        day = min(self.day, oldest or self.day)
        return replace(page, cursor=urlencode(asked | {_DAY: day}))


def oldest_day(source: Any) -> date | None:
    """The day on which the last charge of the page was made; ``None`` if it is not said."""
    items = object_of(source).get("data")
    last = items[-1] if isinstance(items, list) and items else None
    at_ms = time_ms(last, "created_at") if isinstance(last, dict) else None
    return None if at_ms is None else _day_of(at_ms)


def _day_of(at_ms: int) -> date:
    return datetime.fromtimestamp(at_ms // 1000, SINGAPORE).date()


def read_page(source: Any) -> ChargePage:
    """Read a page; its ``cursor`` is the parameter that asks for the next one.

    HitPay's reference has ``meta.next_cursor``; its samples also have a link; a numbered page says
    its own number and the last one. A charge that cannot be read is still listed by its id. In a
    list, charges need not say how much of them was refunded.

    Raises:
        UnreadableAnswerError: it is no such page, or does not say whether another one follows. One
            page is never taken for the whole list.
    """
    source = object_of(source)
    items = source.get("data")
    if not isinstance(items, list):
        raise UnreadableAnswerError("HitPay's list of charges has no data")
    charges = tuple(_listed(object_of(item)) for item in items)
    return ChargePage(charges, _following(source))


def _listed(item: dict[str, Any]) -> ListedCharge:
    try:
        charge = read_charge(item)
    except UnreadableAnswerError:
        return ListedCharge(text(item, "id"), None)
    return ListedCharge.of(charge)


def _following(source: dict[str, Any]) -> str | None:
    """The parameter that asks for the next page; ``None`` if the page says that it is the last."""
    told = [source]
    told += [part for part in (source.get("meta"), source.get("links")) if isinstance(part, dict)]
    for part in told:
        if following := optional_text(part, "next_cursor"):
            return urlencode({CURSOR: following})
    numbered = [part for part in told if part.get("last_page") is not None]
    for part in numbered:
        number, last = _number(part, "current_page"), _number(part, "last_page")
        return urlencode({PAGE: number + 1}) if number < last else None
    links = [part[name] for part in told for name in _LINKS if name in part]
    for link in links:
        if link is not None:
            return _parameter_of(link)
    if not links and not any("next_cursor" in part for part in told):
        raise UnreadableAnswerError("HitPay's list of charges does not say whether more follow")
    return None


def _number(part: dict[str, Any], name: str) -> int:
    number = part.get(name)
    if type(number) is not int:
        raise UnreadableAnswerError(f"{name} of HitPay's list of charges is no number")
    return number


def _parameter_of(link: Any) -> str:
    """The parameter in a link to the next page; the caller adds the filters."""
    query = parse_qs(urlsplit(link).query) if isinstance(link, str) else {}
    for name in (CURSOR, PAGE):
        if query.get(name, [""])[0]:
            return urlencode({name: query[name][0]})
    raise UnreadableAnswerError("HitPay's list of charges leads on by a link that cannot be used")
