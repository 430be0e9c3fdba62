"""HTTP as API Gateway hands it over on AWS, above all where the embedded cloud does it otherwise.

The gateway keeps the spelling of a header, tells every value of one that is given twice, says
``null`` where there is nothing, and may encode a body.
"""

import json
from base64 import b64encode
from dataclasses import replace
from typing import Any

import pytest

from functions.refund_api.app import handler
from refund_bridge.adapters.aws_runtime.rest import BODY_BYTES_MAX
from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.domain.refund_request import Source
from refund_bridge.http.callers import Credentials
from refund_bridge.ports.ledger import LedgerUnavailableError
from tests.unit.functions.api_in_memory import ASKED, CONTEXT, SAMPLE, Api, code, headers


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
