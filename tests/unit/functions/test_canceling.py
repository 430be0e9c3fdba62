"""A scheduled refund is canceled over HTTP; what was sent is not."""

from typing import Any

import pytest

from tests.unit.functions.api_in_memory import FORM, Api, code, headers


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
