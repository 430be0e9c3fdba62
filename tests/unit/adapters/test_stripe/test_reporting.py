"""What Stripe's answers mean to the report of a refund."""

from typing import Any
from urllib.parse import parse_qs

import pytest

from refund_bridge.ports.stripe import ReportAccepted, ReportRefused, ReportUnclear
from tests.unit.adapters.test_stripe.bodies import error_body, record_body
from tests.unit.processors.doubles import StoredKey
from tests.unit.processors.raw_server import Script, answer, hang_up, reset, silence


def test_a_report_says_what_was_frozen_and_nothing_else(report: Any) -> None:
    outcome, server = report(answer(200, record_body()))
    assert isinstance(outcome, ReportAccepted)
    assert server.requests == ["POST /v1/payment_records/pr_1/report_refund"]
    sent = server.arrived[0]
    assert sent.headers["idempotency-key"] == "rfd_1-0"
    assert parse_qs(sent.body.decode()) == {
        "outcome": ["refunded"],
        "amount[value]": ["2500"],
        "amount[currency]": ["sgd"],
        "initiated_at": ["1714528980"],
        "processor_details[type]": ["custom"],
        "processor_details[custom][refund_reference]": ["ref-1"],
        "refunded[refunded_at]": ["1714528984"],
    }


@pytest.mark.parametrize("script", [hang_up, reset, silence, answer(200, b" " * 2_000_000)])
def test_a_report_without_an_answer_is_unclear_under_the_same_key(
    report: Any, script: Script
) -> None:
    outcome, server = report(script, answer(200, record_body()), milliseconds=1_000)
    assert isinstance(outcome, ReportUnclear)
    assert not outcome.new_epoch
    assert len(server.arrived) == 1


@pytest.mark.parametrize("body", [b"", b"null", b"<html>", b"{}", record_body(id="pr_2")])
def test_a_success_that_cannot_be_read_is_unclear(report: Any, body: Any) -> None:
    outcome, server = report(answer(200, body))
    assert isinstance(outcome, ReportUnclear)
    assert not outcome.new_epoch
    assert len(server.arrived) == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", [error_body("api_error"), b"<html>Bad gateway</html>", b""])
def test_a_received_5xx_asks_for_a_new_epoch(report: Any, status: int, body: Any) -> None:
    outcome, server = report(answer(status, body))
    assert isinstance(outcome, ReportUnclear)
    assert outcome.new_epoch
    assert len(server.arrived) == 1


def test_a_key_used_with_other_parameters_asks_for_a_new_epoch(report: Any) -> None:
    outcome, _ = report(answer(400, error_body("idempotency_error")))
    assert outcome == ReportUnclear("Stripe says no.", new_epoch=True)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (409, error_body(code="lock_timeout")),
        (409, error_body("idempotency_error", code="idempotency_key_in_use")),
        (429, error_body(code="lock_timeout")),
        (429, error_body("rate_limit_error", code="rate_limit")),
        (400, error_body(code="lock_timeout")),
        (408, b""),
        (302, b""),
    ],
)
def test_an_answer_from_before_execution_is_unclear_under_the_same_key(
    report: Any, status: int, body: Any
) -> None:
    outcome, server = report(answer(status, body, {"Retry-After": "5", "Location": "/v1/x"}))
    assert isinstance(outcome, ReportUnclear)
    assert (outcome.new_epoch, len(server.arrived)) == (False, 1)


def test_stripes_wish_to_wait_is_passed_on(report: Any) -> None:
    outcome, _ = report(answer(429, error_body(), {"Retry-After": "5"}))
    assert outcome.retry_after_s == 5


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, None), (400, "charge_already_refunded"), (402, "x"), (404, "y"), (422, "")],
)
def test_stripes_own_refusal_is_told_with_its_code(
    report: Any, status: int, code: str | None
) -> None:
    outcome, _ = report(answer(status, error_body(code=code)))
    assert outcome == ReportRefused("Stripe says no.", code or None)


@pytest.mark.parametrize("body", [b"<html>blocked</html>", b"[]", {"error": 5}, {"error": "x"}])
def test_a_refusal_that_is_not_stripes_is_unclear(report: Any, body: Any) -> None:
    outcome, _ = report(answer(403, body))
    assert outcome == ReportUnclear("Stripe answered 403")


def test_a_report_with_a_key_that_stays_refused_is_unclear(report: Any, key: StoredKey) -> None:
    outcome, server = report(answer(401, error_body(message="Invalid API Key: sk_test_o***")))
    assert outcome == ReportUnclear(
        "Stripe does not accept the API key for this (401)", credential_refused=True
    )
    assert (len(server.arrived), key.reads) == (1, 1)


def test_a_restricted_key_without_the_right_to_report_is_a_fault_of_the_set_up(
    report: Any, key: StoredKey
) -> None:
    # Given a key that may read and not report
    no_right = answer(403, error_body("permission_error", message="rk_test_o*** may not"))

    # When it reports, then nothing is decided, no other key of Stripe's is needed, and it is said
    outcome, server = report(no_right)
    assert outcome == ReportUnclear(
        "Stripe does not accept the API key for this (403)", credential_refused=True
    )
    assert (len(server.arrived), key.reads) == (1, 1)


def test_a_report_is_sent_again_with_a_key_that_has_the_right(report: Any, key: StoredKey) -> None:
    key.rotate("rk_test_two")
    outcome, server = report(
        answer(403, error_body("permission_error")), answer(200, record_body())
    )
    assert isinstance(outcome, ReportAccepted)
    assert len(server.arrived) == 2


def test_a_report_is_sent_again_with_a_rotated_key_and_the_same_idempotency_key(
    report: Any, key: StoredKey
) -> None:
    key.rotate("sk_test_two")
    outcome, server = report(answer(401, error_body()), answer(200, record_body()))
    assert isinstance(outcome, ReportAccepted)
    sent = [(a.headers["authorization"], a.headers["idempotency-key"]) for a in server.arrived]
    assert sent == [("Bearer sk_test_one", "rfd_1-0"), ("Bearer sk_test_two", "rfd_1-0")]


def test_without_a_key_a_report_is_unclear(report: Any, key: StoredKey) -> None:
    key.unavailable = True
    outcome, server = report()
    assert isinstance(outcome, ReportUnclear)
    assert server.connections == 0
