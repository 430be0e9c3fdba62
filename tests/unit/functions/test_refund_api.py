"""HTTP as API Gateway hands it over on AWS, above all where the embedded cloud does it otherwise.

The gateway keeps the spelling of a header, tells every value of one that is given twice, says
``null`` where there is nothing, and may encode a body.
"""

import json
from base64 import b64encode
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deployed import paths
from functions.refund_api.app import handler
from refund_bridge.adapters.aws_runtime.rest import BODY_BYTES_MAX
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.contract.form import parse_form
from refund_bridge.domain.refund_request import Source
from refund_bridge.http.address_throttle import AddressThrottle
from refund_bridge.http.callers import PAYOUT, READ, WRITE, ApiKeyHolder, Credentials, KeyCallers
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.fakes.api import api_on
from tests.fakes.world import World

SAMPLE = paths.ROOT / "events" / "refund_api_post.json"
ASKED = '{"payment_record": "pr_1", "amount": 100}'
SCOPES = {"all": {READ, WRITE}, "reader": {READ}, "writer": {WRITE}, "payer": {PAYOUT}}
CONTEXT: Any = SimpleNamespace(
    function_name="f", memory_limit_in_mb=1024, invoked_function_arn="a", aws_request_id="l"
)


class Ring:
    """Whose key is called like what it may do."""

    def holder_of(self, bearer_token: str) -> ApiKeyHolder | None:
        scopes = SCOPES.get(bearer_token)
        return None if scopes is None else ApiKeyHolder(bearer_token, frozenset(scopes))


class Api:
    """The function on a world in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world = world = World()
        world.pay()
        callers = KeyCallers(Ring(), AddressThrottle(world.clock), world.telemetry)
        self.function = api_on(world, callers, account="acct_1")
        monkeypatch.setattr("functions.refund_api.app.refund_api", lambda _: self.function)

    def post(self, **changes: Any) -> tuple[int, dict[str, Any]]:
        """POST the sample of ``events/``, for SGD 1.00."""
        event = json.loads(SAMPLE.read_text().replace("rbk_replace-with-an-api-key", "all"))
        event["body"] = ASKED
        return self.answered(event | changes)

    def get(self, path: str, *, key: str = "all", **changes: Any) -> tuple[int, dict[str, Any]]:
        """GET a path without a query."""
        event = json.loads(SAMPLE.read_text()) | {"httpMethod": "GET", "path": path, "body": None}
        event["headers"] = {"Authorization": f"Bearer {key}"}
        return self.answered(event | {"multiValueHeaders": {}} | changes)

    def answered(self, event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The status and the body, which is JSON whatever happens."""
        answer = handler(event, CONTEXT)
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]
        assert answer["multiValueHeaders"]["Cache-Control"] == ["no-store"]
        return answer["statusCode"], json.loads(answer["body"])

    @property
    def sent(self) -> int:
        """How often the processor was asked to move money."""
        return len(self.world.processor.instructions)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "RefundBridge/test")
    return Api(monkeypatch)


def code(answer: tuple[int, dict[str, Any]]) -> tuple[int, str]:
    status, body = answer
    return status, body["error"]["code"]


def basic(credentials: str) -> str:
    return "Basic " + b64encode(credentials.encode()).decode()


def headers(**changes: str | None) -> dict[str, str]:
    """The headers of a call; ``None`` leaves one out."""
    given: dict[str, str | None] = {
        "Authorization": "Bearer all",
        "Content-Type": "application/json",
        "Idempotency-Key": "k",
    }
    given |= {name.replace("_", "-"): text for name, text in changes.items()}
    return {name: text for name, text in given.items() if text is not None}


def test_the_sample_is_a_refund(api: Api) -> None:
    status, body = api.post()
    assert (status, body["status"], body["amount"], api.sent) == (201, "succeeded", 100, 1)
    # And the ledger knows who asked, and how
    (refund,) = api.world.ledger.refunds.values()
    assert refund.source is Source.API
    assert {entry.actor for entry in refund.history} == {"api_key:all"}


class TestHeaders:
    @pytest.mark.parametrize("spelt", [str.lower, str.upper, str.title])
    def test_their_spelling_does_not_matter(self, api: Api, spelt: Any) -> None:
        given = {spelt(name): text for name, text in headers().items()}
        assert api.post(headers=given, multiValueHeaders={})[0] == 201

    @pytest.mark.parametrize(
        "several",
        [
            {"Idempotency-Key": ["k", "other"]},
            {"Idempotency-Key": ["k"], "idempotency-key": ["other"]},
        ],
    )
    def test_two_keys_are_refused(self, api: Api, several: dict[str, list[str]]) -> None:
        answer = api.post(headers=headers(), multiValueHeaders=several)
        assert code(answer) == (400, "invalid_request")
        assert api.sent == 0

    def test_the_same_key_twice_is_one(self, api: Api) -> None:
        several = {"Idempotency-Key": ["k", "k"]}
        assert api.post(headers=headers(), multiValueHeaders=several)[0] == 201

    @pytest.mark.parametrize(
        "declared",
        [
            "application/json",
            "APPLICATION/JSON; Charset=UTF-8",
            'application/json;charset="utf-8"',
        ],
    )
    def test_json_is_declared_in_any_of_its_ways(self, api: Api, declared: str) -> None:
        assert api.post(headers=headers(Content_Type=declared))[0] == 201

    @pytest.mark.parametrize(
        "declared", [None, "", "text/json", "application/json; charset=utf-16"]
    )
    def test_anything_else_is_no_json(self, api: Api, declared: str | None) -> None:
        answer = api.post(headers=headers(Content_Type=declared))
        assert code(answer) == (415, "unsupported_media_type")

    def test_a_call_without_any_is_nobodys(self, api: Api) -> None:
        answer = api.post(headers=None, multiValueHeaders=None, requestContext=None)
        assert code(answer) == (401, "unauthorized")

    @pytest.mark.parametrize("name", ["userArn", "X-Amz-User-Arn", "X-Forwarded-For"])
    def test_no_header_says_who_calls(self, api: Api, name: str) -> None:
        seen: list[Credentials] = []

        class Callers:
            def admitted(self, credentials: Credentials, *scopes: str) -> str:
                seen.append(credentials)
                return "anybody"

        api.function = replace(api.function, callers=Callers())
        api.post(headers=headers(**{name: "arn:aws:iam::111122223333:user/root"}))
        assert (seen[0].user_arn, seen[0].source_ip) == (None, "192.0.2.10")


class TestBodies:
    def test_an_encoded_one_is_decoded(self, api: Api) -> None:
        encoded = b64encode(ASKED.encode()).decode()
        assert api.post(body=encoded, isBase64Encoded=True)[0] == 201

    @pytest.mark.parametrize(
        ("body", "encoded"),
        [
            (None, False),
            (None, True),
            ("", True),
            ("***", True),
            ("€", True),
            ("\ud800", True),
            ("\ud800", False),
            ('{"payment_record": "pr_1", "reason": "\ud800"}', False),
            (b64encode(b"\xff\xfe").decode(), True),
            (b64encode(b"{}").decode(), False),
        ],
    )
    def test_one_that_is_not_json_in_utf_8_is_refused(
        self, api: Api, body: str | None, encoded: bool
    ) -> None:
        answer = api.post(body=body, isBase64Encoded=encoded)
        assert code(answer) == (400, "invalid_request")

    @pytest.mark.parametrize("encoded", [False, True])
    @pytest.mark.parametrize(("more", "status"), [(0, 201), (1, 413)])
    def test_its_limit_is_counted_in_bytes_as_sent(
        self, api: Api, encoded: bool, more: int, status: int
    ) -> None:
        sent = ASKED.ljust(BODY_BYTES_MAX + more)
        body = b64encode(sent.encode()).decode() if encoded else sent
        assert api.post(body=body, isBase64Encoded=encoded)[0] == status

    def test_a_huge_name_is_not_repeated_whole(self, api: Api) -> None:
        name = "é" * 30_000
        for asked in ({name: 1}, {name: None}, {"payment_record": "pr_1", "metadata": {name: ""}}):
            status, body = api.post(body=json.dumps(asked))
            assert status == 400
            assert len(json.dumps(body)) < 5_000


FORM = "application/x-www-form-urlencoded"


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


class TestCanceling:
    def scheduled(self, api: Api) -> str:
        asked = '{"payment_record": "pr_1", "amount": 100, "refund_type": "scheduled"}'
        status, body = api.post(body=asked)
        assert status == 202
        return str(body["id"])

    def cancel(self, api: Api, refund_id: str, **changes: Any) -> tuple[int, dict[str, Any]]:
        asked = {"body": "", "headers": headers(Content_Type=FORM)} | changes
        return api.post(path=f"/v1/refunds/{refund_id}/cancel", **asked)

    def test_a_scheduled_refund_is_taken_back_and_once_more_changes_nothing(self, api: Api) -> None:
        refund_id = self.scheduled(api)
        status, body = self.cancel(api, refund_id)
        assert (status, body["status"], body["failure_reason"]) == (200, "canceled", None)
        assert body["payment"]["refundable_amount"] == 9999
        written = len(api.world.ledger.refunds[refund_id].history)
        assert self.cancel(api, refund_id)[0] == 200
        assert len(api.world.ledger.refunds[refund_id].history) == written
        assert api.world.ledger.refunds[refund_id].history[-1].actor == "api_key:all"
        # And it is answered so, and listed so
        asked = '{"payment_record": "pr_1", "amount": 100, "refund_type": "scheduled"}'
        again = api.post(body=asked)
        assert (again[0], again[1]["status"]) == (200, "canceled")
        listed = api.get("/v1/refunds", multiValueQueryStringParameters={"status": ["canceled"]})
        assert [one["id"] for one in listed[1]["data"]] == [refund_id]
        api.world.settle_due()
        assert api.sent == 0

    @pytest.mark.parametrize("body", ["", "expand[0]=charge", None])
    def test_a_body_may_be_left_out(self, api: Api, body: str | None) -> None:
        assert self.cancel(api, self.scheduled(api), body=body)[0] == 200

    @pytest.mark.parametrize("body", ["amount=1", "expand[0]=payment", "x"])
    def test_another_body_is_refused(self, api: Api, body: str) -> None:
        refund_id = self.scheduled(api)
        assert code(self.cancel(api, refund_id, body=body)) == (400, "invalid_request")
        assert api.get(f"/v1/refunds/{refund_id}")[1]["status"] == "pending"

    def test_what_was_sent_is_not(self, api: Api) -> None:
        _, sent = api.post()
        answer = self.cancel(api, sent["id"])
        assert code(answer) == (400, "refund_not_cancelable")
        assert answer[1]["error"]["details"] == {"refund": sent["id"]}
        # And its key is shown to who may read, and to nobody else
        read = api.get(f"/v1/refunds/{sent['id']}")[1]
        assert read.pop("idempotency_key") == "order-1007-refund-1"
        assert read == sent

    def test_what_is_not_there_is_not_found(self, api: Api) -> None:
        assert code(self.cancel(api, "rfd_x")) == (404, "refund_not_found")
        assert code(self.cancel(api, "\ud800")) == (404, "refund_not_found")

    def test_a_reader_may_not(self, api: Api) -> None:
        refund_id = self.scheduled(api)
        reader = headers(Authorization="Bearer reader", Content_Type=FORM)
        assert code(self.cancel(api, refund_id, headers=reader)) == (403, "forbidden")


class TestPaths:
    @pytest.mark.parametrize("name", ["\ud800", "€uro", '"', "a\n", "%00", "é" * 2000])
    def test_an_id_that_none_has_is_not_found(self, api: Api, name: str) -> None:
        assert code(api.get(f"/v1/refunds/{name}")) == (404, "refund_not_found")
        assert code(api.get(f"/v1/payments/{name}")) == (404, "payment_not_found")

    @pytest.mark.parametrize("path", ["/v1/refunds/a/b", "/v1/payments", "/v1/nowhere", "/v1/../x"])
    def test_a_path_that_is_not_there(self, api: Api, path: str) -> None:
        assert code(api.get(path)) == (404, "not_found")

    @pytest.mark.parametrize("path", ["/v1/webhooks/hitpay", "/v1/webhooks/hitpay/"])
    def test_a_webhook_that_comes_here_is_at_no_path(self, api: Api, path: str) -> None:
        assert code(api.post(path=path)) == (404, "not_found")

    @pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE"])
    def test_another_method_is_told_those_that_there_are(self, api: Api, method: str) -> None:
        event = json.loads(SAMPLE.read_text()) | {"httpMethod": method}
        answer = handler(event, CONTEXT)
        assert answer["statusCode"] == 405
        assert answer["multiValueHeaders"]["Allow"] == ["GET, POST"]


class TestParameters:
    @pytest.mark.parametrize(
        "query", [{"x": ["1"]}, {"idempotency_key": ["k"]}, {"\ud800": [None]}]
    )
    def test_a_refund_takes_none(self, api: Api, query: dict[str, list[str]]) -> None:
        answer = api.post(multiValueQueryStringParameters=query)
        assert code(answer) == (400, "invalid_request")
        assert api.sent == 0


class TestScopes:
    @pytest.mark.parametrize(
        ("key", "query", "status"),
        [
            ("reader", None, 404),
            ("reader", {"sync": ["false"]}, 404),
            ("reader", {"sync": ["true"]}, 403),
            ("reader", {"sync": ["false", "true"]}, 403),
            ("writer", None, 403),
            ("writer", {"sync": ["false"]}, 403),
            ("writer", {"sync": ["true"]}, 403),
            ("writer", {"sync": ["false", "true"]}, 403),
            ("all", {"sync": [None]}, 400),
            ("all", {"sync": ["TRUE"]}, 400),
        ],
    )
    def test_asking_the_processor_takes_the_right_to_write(
        self, api: Api, key: str, query: dict[str, list[str]] | None, status: int
    ) -> None:
        answer = api.get("/v1/refunds/rfd_x", key=key, multiValueQueryStringParameters=query)
        assert answer[0] == status

    @pytest.mark.parametrize("path", ["/v1/refunds", "/v1/refunds/rfd_x", "/v1/payments/pr_1"])
    def test_reading_takes_the_right_to_read(self, api: Api, path: str) -> None:
        assert code(api.get(path, key="writer")) == (403, "forbidden")
        assert code(api.get(path, key="nobody")) == (401, "unauthorized")

    def test_a_reader_cannot_refund(self, api: Api) -> None:
        answer = api.post(headers=headers(Authorization="Bearer reader"))
        assert code(answer) == (403, "forbidden")
        assert api.sent == 0

    def test_whoever_may_not_come_in_learns_nothing_of_the_request(self, api: Api) -> None:
        answer = api.post(body="not json", headers=headers(Authorization="Bearer nobody"))
        assert code(answer) == (401, "unauthorized")


class TestWhatBreaksHere:
    @pytest.mark.parametrize(
        "failure", [LedgerUnavailableError("x"), KeyUnavailableError("x"), RuntimeError("rbk_x")]
    )
    def test_it_is_told_as_an_unknown_outcome_and_without_its_text(
        self, api: Api, failure: Exception
    ) -> None:
        class Callers:
            def admitted(self, credentials: Credentials, *scopes: str) -> str:
                raise failure

        api.function = replace(api.function, callers=Callers())
        status, body = api.post()
        assert (status, body["error"]["code"]) == (500, "internal_error")
        assert body["error"]["details"] == {"outcome": "unknown"}
        assert "same key" in body["error"]["message"]
        assert str(failure) not in body["error"]["message"].split()


class TestPayouts:
    """Money to whom the caller names has a route and a scope of its own."""

    BODY = json.dumps(
        {
            "processor": "ccg",
            "payment_method": {"id": "card-1", "type": "card"},
            "customer": {"hsid": "hs_1"},
            "amount": 100,
            "currency": "usd",
        }
    )

    def _asked(self, api: Api, path: str, key: str, body: str) -> tuple[int, dict[str, Any]]:
        return api.post(path=path, body=body, headers=headers(Authorization=f"Bearer {key}"))

    @pytest.mark.parametrize("key", ["all", "reader", "writer"])
    def test_no_key_without_the_scope_is_let_in(self, api: Api, key: str) -> None:
        answer = self._asked(api, "/v1/payouts", key, self.BODY)
        assert code(answer) == (403, "forbidden")
        assert api.sent == 0

    def test_the_route_of_refunds_names_this_one(self, api: Api) -> None:
        answer = self._asked(api, "/v1/refunds", "writer", self.BODY)
        assert code(answer) == (400, "invalid_request")
        assert "POST /v1/payouts" in answer[1]["error"]["message"]
        assert api.sent == 0

    @pytest.mark.parametrize(
        ("body", "media_type", "param"),
        [
            (
                '{"payment_record": "pr_1", "customer": {"hsid": "hs_1"}}',
                "application/json",
                "customer",
            ),
            (
                '{"payment_record": "pr_1", "payment_method": {"type": "card"}}',
                "application/json",
                "payment_method",
            ),
            (
                "payment_intent=pi_1&payment_method=pm_1",
                "application/x-www-form-urlencoded",
                "payment_method",
            ),
            (
                "payment_intent=pi_1&customer=cus_1",
                "application/x-www-form-urlencoded",
                "customer",
            ),
        ],
    )
    def test_the_route_of_refunds_names_this_one_of_what_is_not_whole_too(
        self, api: Api, body: str, media_type: str, param: str
    ) -> None:
        answer = api.post(body=body, headers=headers(Content_Type=media_type))
        assert code(answer) == (400, "invalid_request")
        error = answer[1]["error"]
        assert error["param"] == param
        assert [field["path"] for field in error["details"]["fields"]] == [param]
        assert error["message"].startswith(f"{param} belongs to POST /v1/payouts")

    def test_what_else_is_wrong_with_a_refund_is_told_by_its_name(self, api: Api) -> None:
        answer = api.post(body='{"payment_record": "pr_1", "amuont": 1}')
        assert answer[1]["error"]["param"] == "amuont"

    def test_this_route_tells_what_a_payout_lacks(self, api: Api) -> None:
        body = json.dumps(json.loads(self.BODY) | {"payment_method": "card-1"})
        error = self._asked(api, "/v1/payouts", "payer", body)[1]["error"]
        assert error["details"]["fields"] == [
            {"path": "payment_method", "reason": "must be an object"}
        ]

    def test_the_scope_refunds_no_payment(self, api: Api) -> None:
        assert code(self._asked(api, "/v1/refunds", "payer", ASKED)) == (403, "forbidden")
        assert code(self._asked(api, "/v1/payouts", "payer", ASKED)) == (400, "invalid_request")
        assert api.sent == 0
