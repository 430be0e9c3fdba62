"""Money to whom the caller names has a route and a scope of its own."""

import json
from typing import Any

import pytest

from tests.unit.functions.api_in_memory import ASKED, Api, code, headers


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
