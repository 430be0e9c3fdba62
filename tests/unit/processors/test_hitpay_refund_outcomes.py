"""What each whole answer to ``POST /v1/refund`` means: the table of DESIGN.md, row by row."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from refunds.money import Money
from refunds.ports import (
    Aborted,
    Accepted,
    MovementStatus,
    Outcome,
    RefundOrder,
    Rejected,
    Unknown,
)
from tests.unit.processors.conftest import MakeHitPay
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer

ORDER = RefundOrder(refund_id="rfd_1", payment_id="pay-1", money=Money(5000, "sgd"))
LARAVEL_404 = {"message": "No query results for model [App\\Business\\Charge] pay-1"}


def refund_body(**changes: Any) -> dict[str, Any]:
    return {
        "id": "ref-1",
        "payment_id": "pay-1",
        "amount_refunded": 50,
        "total_amount": 99.99,
        "currency": "sgd",
        "status": "succeeded",
        "refunded_at": "2024-05-01T02:03:04Z",
        "created_at": "2024-05-01T10:03:00",
        "something_new": {"nobody": "asked for"},
        **changes,
    }


@pytest.fixture
def outcome_of(make_hitpay: MakeHitPay, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, order: RefundOrder = ORDER) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            return make_hitpay(server.url).refund(order, clock.deadline()), server

    return ask


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_2xx_that_agrees_is_accepted(outcome_of: Any, status: int) -> None:
    outcome, server = outcome_of(answer(status, refund_body()))
    assert isinstance(outcome, Accepted)
    movement = outcome.movement
    assert (movement.id, movement.payment_id) == ("ref-1", "pay-1")
    assert movement.money == Money(5000, "sgd")
    assert movement.status is MovementStatus.SUCCEEDED
    assert movement.refunded_at_ms == 1_714_528_984_000
    assert movement.created_at_ms == 1_714_528_980_000  # 10:03:00 in Singapore is 02:03:00 UTC
    assert server.requests == ["POST /v1/refund"]


def test_the_request_is_a_form_with_the_charge_and_the_decimal_amount(outcome_of: Any) -> None:
    _, server = outcome_of(answer(200, refund_body()))
    sent = server.arrived[0]
    assert parse_qs(sent.body.decode()) == {"payment_id": ["pay-1"], "amount": ["50.00"]}
    assert sent.headers["content-type"] == "application/x-www-form-urlencoded"
    assert sent.headers["x-business-api-key"] == "key-one"
    assert sent.headers["x-requested-with"] == "XMLHttpRequest"
    assert sent.headers["accept"] == "application/json"
    assert "transfer-encoding" not in sent.headers


@pytest.mark.parametrize(
    ("money", "printed"),
    [(Money(5000, "jpy"), "5000"), (Money(5000, "kwd"), "5.000"), (Money(7, "sgd"), "0.07")],
)
def test_amounts_have_the_decimals_of_their_currency(
    outcome_of: Any, money: Money, printed: str
) -> None:
    order = RefundOrder(refund_id="rfd_1", payment_id="pay-1", money=money)
    body = refund_body(currency=money.currency.upper(), amount_refunded=printed)
    outcome, server = outcome_of(answer(200, body), order=order)
    assert isinstance(outcome, Accepted)
    assert outcome.movement.money == money
    assert parse_qs(server.arrived[0].body.decode())["amount"] == [printed]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": None}, MovementStatus.SUCCEEDED),
        ({"status": None, "refunded_at": None}, MovementStatus.PENDING),
        ({"status": "pending", "refunded_at": None}, MovementStatus.PENDING),
        ({"status": "a word nobody documented"}, MovementStatus.PENDING),
        ({"status": "failed"}, MovementStatus.PENDING),
        ({"created_at": "yesterday"}, MovementStatus.SUCCEEDED),
    ],
)
def test_only_a_documented_success_is_final(
    outcome_of: Any, changes: dict[str, Any], status: MovementStatus
) -> None:
    outcome, _ = outcome_of(answer(200, refund_body(**changes)))
    assert isinstance(outcome, Accepted)
    assert outcome.movement.status is status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"42",
        b"<html>502</html>",
        b'{"id": "ref-1", "payment_id": "pay',
        b'{"id": "ref-1"}',
        b"\xff\xfe\x00",
        b"[" * 10_000,
        refund_body(id=None),
        refund_body(id=17),
        refund_body(id=""),
        refund_body(payment_id="pay-2"),
        refund_body(payment_id=None),
        refund_body(amount_refunded=50.01),
        refund_body(amount_refunded=49.999),
        refund_body(amount_refunded=-50),
        refund_body(amount_refunded=None),
        refund_body(amount_refunded=True),
        refund_body(amount_refunded="5_0"),
        refund_body(amount_refunded="NaN"),
        refund_body(amount_refunded=[50]),
        refund_body(currency="usd"),
        refund_body(currency=None),
        refund_body(currency="dollars"),
        refund_body(status=1),
        refund_body(refunded_at=1_714_528_984),
        b'{"id":"ref-1","payment_id":"pay-1","currency":"sgd","amount_refunded":NaN}',
        b'{"id":"ref-1","payment_id":"pay-1","currency":"sgd","amount_refunded":1e99999999999}',
    ],
)
def test_a_success_that_cannot_be_read_or_disagrees_is_unknown(outcome_of: Any, body: Any) -> None:
    outcome, server = outcome_of(answer(200, body))
    assert isinstance(outcome, Unknown)
    assert server.requests == ["POST /v1/refund"]


@pytest.mark.parametrize("status", [400, 402, 403, 404, 422])
def test_hitpays_own_refusal_is_final_and_in_its_words(outcome_of: Any, status: int) -> None:
    outcome, server = outcome_of(answer(status, {"message": "Insufficient balance."}))
    assert outcome == Rejected("Insufficient balance.", status)
    assert server.requests == ["POST /v1/refund"]


def test_a_refusal_names_the_field_that_laravels_message_leaves_out(outcome_of: Any) -> None:
    errors = {"amount": ["The amount may not be greater than 10."]}
    body = {"message": "The given data was invalid.", "errors": errors}
    outcome, _ = outcome_of(answer(422, body))
    assert outcome == Rejected(
        "The given data was invalid. The amount may not be greater than 10.", 422
    )


def test_a_refusal_that_echoes_the_key_does_not_pass_it_on(outcome_of: Any) -> None:
    outcome, _ = outcome_of(answer(400, {"message": "Bad key\nkey-one " + "x" * 2000}))
    assert isinstance(outcome, Rejected)
    assert outcome.message.startswith("Bad key *** xxx")
    assert len(outcome.message) == 500


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("body", [b"", b"<html>Forbidden</html>", {"error": "x"}, {"message": 1}])
def test_being_turned_away_without_hitpays_words_is_aborted(
    outcome_of: Any, status: int, body: Any
) -> None:
    outcome, server = outcome_of(answer(status, body))
    assert isinstance(outcome, Aborted)
    assert server.requests == ["POST /v1/refund"]


@pytest.mark.parametrize("status", [400, 402, 422])
def test_other_refusals_without_hitpays_words_are_unknown(outcome_of: Any, status: int) -> None:
    outcome, _ = outcome_of(answer(status, "<html>?</html>"))
    assert isinstance(outcome, Unknown)


@pytest.mark.parametrize(
    ("header", "seconds"), [({"Retry-After": "7"}, 7), ({}, None), ({"Retry-After": "soon"}, None)]
)
def test_a_rate_limit_is_aborted_with_hitpays_wish(
    outcome_of: Any, header: dict[str, str], seconds: int | None
) -> None:
    outcome, _ = outcome_of(answer(429, {"message": "Too Many Attempts."}, header))
    assert isinstance(outcome, Aborted)
    assert outcome.retry_after_s == seconds


@pytest.mark.parametrize("status", [408, 409, 410, 418, 500, 502, 503, 504, 599])
def test_every_other_status_is_unknown(outcome_of: Any, status: int) -> None:
    outcome, server = outcome_of(answer(status, LARAVEL_404))
    assert isinstance(outcome, Unknown)
    assert server.requests == ["POST /v1/refund"]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_unknown_and_not_followed(outcome_of: Any, status: int) -> None:
    with RawServer(answer(200, refund_body())) as elsewhere:
        outcome, server = outcome_of(answer(status, b"", {"Location": f"{elsewhere.url}/x"}))
        assert isinstance(outcome, Unknown)
        assert server.requests == ["POST /v1/refund"]
        assert elsewhere.requests == []


def test_a_401_with_the_same_key_in_the_store_is_aborted_after_one_read(
    outcome_of: Any, key: StoredKey
) -> None:
    outcome, server = outcome_of(answer(401, {"message": "Unauthenticated."}))
    assert isinstance(outcome, Aborted)
    assert (len(server.arrived), key.reads) == (1, 1)


def test_a_401_with_a_rotated_key_is_sent_once_more(outcome_of: Any, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, server = outcome_of(answer(401), answer(200, refund_body()))
    assert isinstance(outcome, Accepted)
    sent = [arrival.headers["x-business-api-key"] for arrival in server.arrived]
    assert sent == ["key-one", "key-two"]


def test_two_401s_are_aborted_and_there_is_no_third_request(
    outcome_of: Any, key: StoredKey
) -> None:
    key.rotate("key-two")
    outcome, server = outcome_of(answer(401), answer(401), answer(200, refund_body()))
    assert isinstance(outcome, Aborted)
    assert (len(server.arrived), key.reads) == (2, 1)


def test_what_follows_a_401_decides(outcome_of: Any, key: StoredKey) -> None:
    key.rotate("key-two")
    outcome, server = outcome_of(answer(401), answer(500))
    assert isinstance(outcome, Unknown)
    assert len(server.arrived) == 2


def test_without_a_key_nothing_is_sent(outcome_of: Any, key: StoredKey) -> None:
    key.unavailable = True
    outcome, server = outcome_of()
    assert isinstance(outcome, Aborted)
    assert server.connections == 0


def test_a_key_that_http_cannot_carry_aborts_and_stays_unspoken(
    make_hitpay: MakeHitPay, clock: FrozenWallClock, key: StoredKey
) -> None:
    key._cached = "secret\nwith a line break"
    with RawServer() as server:
        outcome = make_hitpay(server.url).refund(ORDER, clock.deadline())
    assert isinstance(outcome, Aborted)
    assert "secret" not in repr(outcome)
    assert server.requests == []
