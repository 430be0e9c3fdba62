"""What Stripe's SDKs send, and how they are answered."""

import json
from dataclasses import replace

import pytest

from functions.refund_api.app import handler
from refund_bridge.contract.form import parse_form
from tests.unit.functions.api_in_memory import CONTEXT, FORM, SAMPLE, Api, basic, code, headers


class TestForms:
    """What Stripe's SDKs send, and how they are answered."""

    def test_a_form_is_a_refund_and_json_repeats_it(self, api: Api) -> None:
        form = "payment_record=pr_1&amount=100"
        first = api.post(body=form, headers=headers(Content_Type=FORM))
        assert (first[0], first[1]["amount"]) == (201, 100)
        again = api.post(headers=headers())
        assert (again[0], again[1]["id"], api.sent) == (200, first[1]["id"], 1)

    @pytest.mark.parametrize(
        ("body", "status", "code"),
        [
            ("payment_record=pr_1&amount=99999", 422, "refund_amount_exceeded"),
            ("payment_record=pr_1&amount=1&currency=usd", 422, "currency_mismatch"),
            ("payment_record=pr_none", 404, "payment_not_found"),
            ("payment_record=pr_1&amuont=1", 400, "invalid_request"),
        ],
    )
    def test_an_error_differs_in_its_status_alone(
        self, api: Api, body: str, status: int, code: str
    ) -> None:
        as_json = json.dumps(parse_form(body))
        by_json = api.post(body=as_json)
        by_form = api.post(body=body, headers=headers(Content_Type=FORM))
        of_version = api.post(body=as_json, headers=headers(Stripe_Version="2026-01-28.clover"))
        assert by_json[0] == status
        assert by_form[0] == of_version[0] == (404 if status == 404 else 400)
        assert by_json[1] == by_form[1] == of_version[1]
        assert by_json[1]["error"]["code"] == code
        assert api.sent == 0

    def test_nothing_left_to_refund_has_stripes_own_code(self, api: Api) -> None:
        api.post(body='{"payment_record": "pr_1"}')
        other = headers(Idempotency_Key="other", Content_Type=FORM)
        by_form = api.post(body="payment_record=pr_1", headers=other, multiValueHeaders={})
        assert code(by_form) == (400, "charge_already_refunded")
        other = headers(Idempotency_Key="other")
        by_json = api.post(body='{"payment_record": "pr_1"}', headers=other, multiValueHeaders={})
        assert code(by_json) == (412, "payment_not_refundable")

    def test_a_key_that_comes_with_another_request_is_an_error_of_idempotency(
        self, api: Api
    ) -> None:
        api.post(headers=headers())
        answer = api.post(body="payment_record=pr_1&amount=101", headers=headers(Content_Type=FORM))
        assert code(answer) == (400, "idempotency_key_reused")
        assert answer[1]["error"]["type"] == "idempotency_error"

    def test_a_form_without_a_key_is_refused(self, api: Api) -> None:
        given = headers(Content_Type=FORM, Idempotency_Key=None)
        answer = api.post(body="payment_record=pr_1", headers=given, multiValueHeaders={})
        assert code(answer) == (400, "idempotency_key_required")

    @pytest.mark.parametrize(
        ("name", "text", "status"),
        [
            ("Stripe-Account", "acct_1", 201),
            ("Stripe-Account", "acct_2", 400),
            ("Stripe-Account", "", 400),
            ("Stripe-Context", "acct_1", 201),
            ("Stripe-Context", "acct_2", 400),
            ("Stripe-Version", "2026-01-28.clover", 201),
            ("Stripe-Version", "new\nline", 400),
            ("Stripe-Version", "", 400),
        ],
    )
    def test_what_a_caller_says_of_stripe_is_checked(
        self, api: Api, name: str, text: str, status: int
    ) -> None:
        answer = api.post(headers=headers(**{name: text}), multiValueHeaders={})
        assert answer[0] == status
        if status == 400:
            assert answer[1]["error"]["param"] == name
            assert api.sent == 0

    def test_without_an_account_none_may_be_named(self, api: Api) -> None:
        api.function = replace(api.function, stripe_account_id="")
        assert api.post()[0] == 201
        answer = api.post(headers=headers(Stripe_Account="acct_1"))
        assert code(answer) == (400, "invalid_request")
        assert answer[1]["error"]["param"] == "Stripe-Account"

    def test_every_answer_has_its_id_and_stripes_version_as_sent(self, api: Api) -> None:
        event = json.loads(SAMPLE.read_text()) | {"httpMethod": "PUT"}
        event["headers"] |= {"stripe-version": "2026-01-28.clover"}
        answer = handler(event, CONTEXT)
        told = answer["multiValueHeaders"]
        assert answer["statusCode"] == 400
        assert told["Request-Id"] == [json.loads(answer["body"])["error"]["request_id"]]
        assert told["Stripe-Version"] == ["2026-01-28.clover"]
        assert told["Stripe-Should-Retry"] == ["false"]

    @pytest.mark.parametrize(
        ("authorization", "status"),
        [
            (basic("all:"), 201),
            (basic("all"), 201),
            (basic("all:").replace("Basic", "BASIC"), 201),
            (basic("all:secret"), 401),
            (basic(":all"), 401),
            ("Basic all", 401),
            ("Basic ***", 401),
            (basic("all:").replace("Basic", "Digest"), 401),
            ("Bearer sk_live_1", 401),
        ],
    )
    def test_a_key_may_be_shown_as_basic(self, api: Api, authorization: str, status: int) -> None:
        answer = api.post(headers=headers(Authorization=authorization))
        assert answer[0] == status
        if status == 401:
            error = answer[1]["error"]
            assert (error["type"], error["param"]) == ("authentication_error", "Authorization")
            assert ("Stripe" in error["message"]) == ("sk_live" in authorization)
            assert api.sent == 0
