"""What is read of a page of HitPay's list of charges, and how the next one is asked for."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from refund_bridge.domain.charge import ListedCharge
from refund_bridge.ports.processor import UnreadableAnswerError
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock
from tests.unit.processors.raw_server import RawServer, answer

CHARGE = {
    "id": "pay-1",
    "status": "partially_refunded",
    "amount": 99.99,
    "currency": "sgd",
    "refunded_amount": 25,
    "refunds": [
        {"id": "ref-1", "amount_refunded": 25, "status": "succeeded"},
        {"id": "ref-2", "amount_refunded": 10, "status": "failed"},
        {"id": "ref-3", "amount_refunded": 10, "status": "pending"},
    ],
}
END = {"next_cursor": None}
FILTERS = {"per_page": ["50"], "statuses[]": ["partially_refunded", "refunded"]}
UNTOUCHED = {"id": "pay-2", "status": "succeeded", "amount": 5, "currency": "sgd"}


def asked(server: RawServer) -> list[dict[str, list[str]]]:
    """The parameters of every request."""
    targets = [urlsplit(request.removeprefix("GET ")) for request in server.requests]
    assert {target.path for target in targets} == {"/v1/charges"}
    return [parse_qs(target.query) for target in targets]


def test_each_charge_is_listed_with_what_was_refunded_of_it(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, {"data": [CHARGE, UNTOUCHED], "meta": END})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())
        # Failed refunds move nothing, so they are not listed
        assert page.charges == (
            ListedCharge("pay-1", 2500, ("ref-1", "ref-3")),
            ListedCharge("pay-2", 0),
        )
        assert page.cursor is None
        assert asked(server) == [FILTERS]


def test_a_charge_that_cannot_be_read_is_listed_by_its_id(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    odd = {**CHARGE, "amount": "much"}
    with RawServer(answer(200, {"data": [odd, UNTOUCHED], "meta": END})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())
    assert page.charges == (ListedCharge("pay-1", None), ListedCharge("pay-2", 0))


def test_refunds_that_are_not_listed_leave_the_sum(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    bare = {name: value for name, value in CHARGE.items() if name != "refunds"}
    with RawServer(answer(200, {"data": [bare], "meta": END})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())
    assert page.charges == (ListedCharge("pay-1", 2500),)


@pytest.mark.parametrize("cursor", ["eyJpZCI6MX0", "a+b/c==", "x&page=7"])
def test_a_cursor_comes_back_as_it_was_given(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, cursor: str
) -> None:
    first = answer(200, {"data": [UNTOUCHED], "meta": {"next_cursor": cursor}})
    last = answer(200, {"data": [], "meta": {"next_cursor": None}})
    with RawServer(first, last) as server:
        hitpay = make_hitpay(server.url)
        page = hitpay.charges(None, clock.deadline())
        assert hitpay.charges(page.cursor, clock.deadline()).cursor is None
        assert asked(server)[1] == FILTERS | {"cursor": [cursor]}


NUMBERED = {"current_page": 1, "last_page": 2}
LINK = "https://elsewhere/v1/charges?status=succeeded&{}&per_page=25"


@pytest.mark.parametrize(
    ("leads", "parameter"),
    [
        (NUMBERED, {"page": ["2"]}),
        ({"meta": NUMBERED}, {"page": ["2"]}),
        ({"meta": NUMBERED, "links": {"next": LINK.format("page=2")}}, {"page": ["2"]}),
        (NUMBERED | {"next_page_url": LINK.format("page=2")}, {"page": ["2"]}),
        ({"current_page": 1, "next_page_url": LINK.format("page=2")}, {"page": ["2"]}),
        ({"links": {"next": LINK.format("cursor=ey%3D")}, "meta": {}}, {"cursor": ["ey="]}),
        ({"links": {"next": LINK.format("cursor=e")}, "meta": END}, {"cursor": ["e"]}),
        ({"next_cursor": "e"}, {"cursor": ["e"]}),
    ],
)
def test_every_form_of_a_list_leads_on_to_its_next_page(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, leads: dict[str, Any], parameter: Any
) -> None:
    # Given a first page in one of the forms, and a last one
    last = answer(200, {"data": [UNTOUCHED], "meta": {"current_page": 2, "last_page": 2}})
    with RawServer(answer(200, {"data": [CHARGE]} | leads), last) as server:
        hitpay = make_hitpay(server.url)

        # When it is walked through, then the next page is asked for by our filters, not the link's
        page = hitpay.charges(None, clock.deadline())
        assert hitpay.charges(page.cursor, clock.deadline()).cursor is None
        assert asked(server) == [FILTERS, FILTERS | parameter]


def test_a_list_that_leads_back_to_itself_is_not_walked_for_ever(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    same = answer(200, {"data": [], "meta": {"next_cursor": "e"}})
    with RawServer(same, same) as server:
        hitpay = make_hitpay(server.url)
        page = hitpay.charges(None, clock.deadline())
        with pytest.raises(UnreadableAnswerError):
            hitpay.charges(page.cursor, clock.deadline())


def test_a_charge_that_is_listed_short_is_one_to_look_at(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    # Given items that say their status, and not how much was refunded
    bare = {"id": "pay-1", "amount": "1,099.99", "currency": "SGD"}
    items = [bare | {"status": "partially_refunded"}, bare | {"id": "pay-2", "status": "refunded"}]
    with RawServer(answer(200, {"data": items, "meta": END})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())

    # Then a part is unknown, and all is all
    assert page.charges == (ListedCharge("pay-1", None), ListedCharge("pay-2", 109999))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        {"data": []},
        {"data": [], "current_page": "1"},
        {"data": ["pay-1"], "meta": END},
        {"data": [{"status": "succeeded"}], "meta": END},
        {"data": [], "meta": {"next_cursor": 7}},
        {"data": [], "meta": {}},
        {"data": [], "meta": {"current_page": 1}},
        {"data": [], "meta": {"current_page": "1", "last_page": 3}},
        {"data": [], "links": {"next": "https://elsewhere/v1/charges"}},
        {"data": [], "links": {"next": 7}},
    ],
)
def test_what_is_no_list_of_charges_is_not_used(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, body: dict[str, Any]
) -> None:
    with RawServer(answer(200, body)) as server, pytest.raises(UnreadableAnswerError):
        make_hitpay(server.url).charges(None, clock.deadline())


def test_an_account_without_a_list_has_none(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(404, {"message": "No"})) as server, pytest.raises(UnreadableAnswerError):
        make_hitpay(server.url).charges(None, clock.deadline())
