"""HitPay's list of charges: the filter, one page, and the link to the next page."""

from collections.abc import Sequence
from urllib.parse import urlencode

from local.simulators.calls import ApiCall, View
from local.simulators.clock import SINGAPORE
from local.simulators.hitpay_book import Charge
from local.simulators.hitpay_settings import HitPaySettings
from local.simulators.hitpay_shapes import charge_body
from local.simulators.json_text import JsonObject

SIZE, SIZE_MAX = 25, 100
_NOT_IN_LISTS = ("refunds", "refunded_amount")


def page_of(
    charges: Sequence[Charge], call: ApiCall, settings: HitPaySettings, view: View
) -> JsonObject:
    """Return a page of the charges that are asked for, newest first."""
    wanted = [one for one in reversed(charges) if _is_wanted(one, call, settings, view)]
    size = _size(call)
    ids = [charge.id for charge in wanted]
    number = _counted(call, "page", 1)
    start = (number - 1) * size
    if settings.list_paging in ("cursor", "link"):
        cursor = str(call.parameters.get("cursor", ""))
        start = ids.index(cursor) + 1 if cursor in ids else 0
    data = [_item(charge, settings, view) for charge in wanted[start : start + size]]
    if settings.list_paging in ("cursor", "link"):
        following = ids[start + len(data) - 1] if start + size < len(ids) else None
        return _led_by_cursor(data, following, call, settings)
    return _numbered(data, number, len(ids), call, settings)


def _is_wanted(charge: Charge, call: ApiCall, settings: HitPaySettings, view: View) -> bool:
    made = charge.created_at.astimezone(SINGAPORE).date().isoformat()
    if made > str(call.parameters.get("date_to", made)):
        return False
    asked = call.parameters.get("statuses")
    if settings.list_default == "everything" and not asked and "status" not in call.parameters:
        return True
    status = charge.shown_status(charge.refunded(view, with_pending=settings.pending_counts))
    if isinstance(asked, dict):
        return status in asked.values()
    if "status" in call.parameters:
        return status == call.parameters["status"]
    return status != "partially_refunded"


def _item(charge: Charge, settings: HitPaySettings, view: View) -> JsonObject:
    body = charge_body(charge, settings, view)
    if settings.list_items == "full":
        return body
    return {name: body[name] for name in body if name not in _NOT_IN_LISTS}


def _led_by_cursor(
    data: list[JsonObject], following: str | None, call: ApiCall, settings: HitPaySettings
) -> JsonObject:
    url, size = call.base_url + call.path, _size(call)
    query = urlencode({"cursor": following or "", "per_page": size})
    body: JsonObject = {
        "data": data,
        "links": {"first": None, "last": None, "prev": None}
        | {"next": f"{url}?{query}" if following else None},
    }
    if settings.list_paging == "cursor":
        body["meta"] = {
            "path": url,
            "per_page": size,
            "next_cursor": following,
            "prev_cursor": None,
        }
    return body


def _numbered(
    data: list[JsonObject], page: int, total: int, call: ApiCall, settings: HitPaySettings
) -> JsonObject:
    url, size = call.base_url + call.path, _size(call)
    last = max(1, -(-total // size))
    first = (page - 1) * size

    def link(number: int) -> str | None:
        query = urlencode({"page": number, "per_page": size})
        return f"{url}?{query}" if 1 <= number <= last else None

    numbers: JsonObject = {
        "current_page": page,
        "from": first + 1 if data else None,
        "last_page": last,
        "path": url,
        "per_page": size,
        "to": first + len(data) if data else None,
        "total": total,
    }
    if settings.list_paging == "meta_page":
        links = {"first": link(1), "last": link(last), "prev": link(page - 1)}
        return {"data": data, "links": links | {"next": link(page + 1)}, "meta": numbers}
    return {
        **numbers,
        "data": data,
        "first_page_url": link(1),
        "last_page_url": link(last),
        "next_page_url": link(page + 1),
        "prev_page_url": link(page - 1),
    }


def _size(call: ApiCall) -> int:
    return min(_counted(call, "per_page", SIZE), SIZE_MAX)


def _counted(call: ApiCall, name: str, default: int) -> int:
    written = str(call.parameters.get(name, default))
    return int(written) if written.isdecimal() and int(written) > 0 else default
