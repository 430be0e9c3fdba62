"""What is read of a page of HitPay's list of charges, and how the next one is asked for."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from refunds.ports import ListedCharge, UnreadableAnswerError
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
UNTOUCHED = {"id": "pay-2", "status": "succeeded", "amount": 5, "currency": "sgd"}


def asked(server: RawServer) -> list[dict[str, list[str]]]:
    """The parameters of every request."""
    targets = [urlsplit(request.removeprefix("GET ")) for request in server.requests]
    assert {target.path for target in targets} == {"/v1/charges"}
    return [parse_qs(target.query) for target in targets]


def test_each_charge_is_listed_with_what_was_refunded_of_it(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    with RawServer(answer(200, {"data": [CHARGE, UNTOUCHED], "meta": {}})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())
        # Failed refunds move nothing, so they are not listed
        assert page.charges == (
            ListedCharge("pay-1", 2500, ("ref-1", "ref-3")),
            ListedCharge("pay-2", 0),
        )
        assert page.cursor is None
        assert asked(server) == [{"per_page": ["50"]}]


def test_a_charge_that_cannot_be_read_is_listed_by_its_id(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    odd = {**CHARGE, "amount": "much"}
    with RawServer(answer(200, {"data": [odd, UNTOUCHED], "meta": {}})) as server:
        page = make_hitpay(server.url).charges(None, clock.deadline())
    assert page.charges == (ListedCharge("pay-1", None), ListedCharge("pay-2", 0))


def test_refunds_that_are_not_listed_leave_the_sum(
    make_hitpay: MakeHitPay, clock: FrozenWallClock
) -> None:
    bare = {name: value for name, value in CHARGE.items() if name != "refunds"}
    with RawServer(answer(200, {"data": [bare], "meta": {}})) as server:
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
        assert asked(server)[1] == {"per_page": ["50"], "cursor": [cursor]}


def test_numbered_pages_are_counted(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> None:
    first = answer(200, {"data": [], "current_page": 1, "next_page_url": "https://elsewhere/"})
    last = answer(200, {"data": [], "current_page": 2, "next_page_url": None})
    with RawServer(first, last) as server:
        hitpay = make_hitpay(server.url)
        page = hitpay.charges(None, clock.deadline())
        assert hitpay.charges(page.cursor, clock.deadline()).cursor is None
        assert asked(server)[1] == {"per_page": ["50"], "page": ["2"]}


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"data": {}},
        {"data": []},
        {"data": [], "current_page": "1"},
        {"data": ["pay-1"], "meta": {}},
        {"data": [{"status": "succeeded"}], "meta": {}},
        {"data": [], "meta": {"next_cursor": 7}},
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
