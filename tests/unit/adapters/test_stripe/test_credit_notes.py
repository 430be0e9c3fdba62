"""What a credit note is asked for with, and what Stripe's answers mean to it."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp, Limits
from refund_bridge.adapters.stripe.credit_notes import PAGES_MAX, StripeCreditNotes
from refund_bridge.ports.processor import ProviderUnavailableError, UnreadableAnswerError
from refund_bridge.ports.stripe import (
    CreditNoteInstruction,
    CreditNoteIssued,
    CreditNoteOutcome,
    CreditNoteRefused,
    CreditNoteUnclear,
    StripeObjectNotFoundError,
)
from tests.unit.adapters.test_stripe.bodies import error_body
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, Script, answer, hang_up, reset, silence

INSTRUCTION = CreditNoteInstruction(
    refund_id="rfd_1",
    invoice="in_1",
    payment_record="pr_1",
    refund_reference="ref-1",
    amount=2500,
    currency="sgd",
)


def note_body(**changes: Any) -> dict[str, Any]:
    return {
        "id": "cn_1",
        "object": "credit_note",
        "invoice": "in_1",
        "amount": 2500,
        "currency": "sgd",
        "metadata": {"refund_bridge_id": "rfd_1"},
        **changes,
    }


def list_body(*notes: Any, has_more: Any = False) -> dict[str, Any]:
    return {"object": "list", "data": list(notes), "has_more": has_more, "url": "/v1/credit_notes"}


class Desk:
    """The adapter, and a server that answers as scripted."""

    def __init__(self, http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> None:
        self._http, self._key, self._clock = http, key, clock
        self.arrived: list[Any] = []

    def issue(
        self,
        *scripts: Script,
        instruction: CreditNoteInstruction = INSTRUCTION,
        milliseconds: int = 10_000,
    ) -> CreditNoteOutcome:
        with RawServer(*scripts) as server:
            deadline = self._clock.deadline(milliseconds)
            outcome = self._notes(server).issue_credit_note(
                instruction, "rfd_1:credit_note", deadline
            )
            self.arrived = server.arrived
        return outcome

    def look_up(self, *scripts: Script, invoice: str = "in_1") -> str | None:
        with RawServer(*scripts) as server:
            try:
                return self._notes(server).credit_note_of(invoice, "rfd_1", self._clock.deadline())
            finally:
                self.arrived = server.arrived

    def _notes(self, server: RawServer) -> StripeCreditNotes:
        return StripeCreditNotes(base_url=server.url, key=self._key, http=self._http)


@pytest.fixture
def desk(clock: FrozenWallClock, key: StoredKey) -> Iterator[Desk]:
    http = DeadlineHttp(clock, limits=Limits(exchange_ms=5_000))
    yield Desk(http, key, clock)
    http.close()


class TestIssuing:
    """One instruction, one attempt."""

    def test_it_says_what_was_reported_and_nothing_else(self, desk: Desk) -> None:
        assert desk.issue(answer(200, note_body())) == CreditNoteIssued("cn_1")
        [sent] = desk.arrived
        assert (sent.method, sent.path) == ("POST", "/v1/credit_notes")
        assert sent.headers["idempotency-key"] == "rfd_1:credit_note"
        assert parse_qs(sent.body.decode()) == {
            "invoice": ["in_1"],
            "amount": ["2500"],
            "refunds[0][type]": ["payment_record_refund"],
            "refunds[0][payment_record_refund][payment_record]": ["pr_1"],
            "refunds[0][payment_record_refund][refund_group]": ["ref-1"],
            "refunds[0][amount_refunded]": ["2500"],
            "metadata[refund_bridge_id]": ["rfd_1"],
        }

    @pytest.mark.parametrize(
        ("reason", "told"),
        [
            ("duplicate", ["duplicate"]),
            ("fraudulent", ["fraudulent"]),
            ("requested_by_customer", None),
            ("order_change", None),
            ("Broken on arrival", None),
            (None, None),
        ],
    )
    def test_a_reason_is_told_where_stripe_has_the_same_word(
        self, desk: Desk, reason: str | None, told: list[str] | None
    ) -> None:
        desk.issue(answer(200, note_body()), instruction=replace(INSTRUCTION, reason=reason))
        assert parse_qs(desk.arrived[0].body.decode()).get("reason") == told

    @pytest.mark.parametrize("script", [hang_up, reset, silence, answer(200, b" " * 2_000_000)])
    def test_without_an_answer_it_is_unclear_under_the_same_key(
        self, desk: Desk, script: Script
    ) -> None:
        outcome = desk.issue(script, answer(200, note_body()), milliseconds=1_000)
        assert isinstance(outcome, CreditNoteUnclear)
        assert (outcome.new_epoch, len(desk.arrived)) == (False, 1)

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"<html>",
            b"{}",
            note_body(id=None),
            note_body(id=""),
            note_body(invoice="in_2"),
            note_body(amount=2400),
            note_body(currency="usd"),
            note_body(currency=None),
            note_body(metadata=None),
            note_body(metadata={}),
            note_body(metadata={"refund_bridge_id": "rfd_2"}),
        ],
    )
    def test_a_success_that_is_not_this_note_is_unclear(self, desk: Desk, body: Any) -> None:
        outcome = desk.issue(answer(200, body))
        assert isinstance(outcome, CreditNoteUnclear)
        assert not outcome.new_epoch

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_a_failure_in_stripes_own_words_asks_for_a_new_epoch(
        self, desk: Desk, status: int
    ) -> None:
        outcome = desk.issue(answer(status, error_body("api_error")))
        assert outcome == CreditNoteUnclear("Stripe says no.", new_epoch=True)

    @pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"", {"error": "x"}])
    def test_a_failure_in_others_words_may_still_be_executed_under_its_key(
        self, desk: Desk, body: Any
    ) -> None:
        assert desk.issue(answer(502, body)) == CreditNoteUnclear("Stripe answered 502")

    def test_a_key_used_with_other_parameters_asks_for_a_new_epoch(self, desk: Desk) -> None:
        outcome = desk.issue(answer(400, error_body("idempotency_error")))
        assert outcome == CreditNoteUnclear("Stripe says no.", new_epoch=True)

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (409, error_body(code="lock_timeout")),
            (409, error_body("idempotency_error", code="idempotency_key_in_use")),
            (429, error_body("rate_limit_error", code="rate_limit")),
            (408, b""),
            (302, b""),
            (403, b"<html>blocked</html>"),
        ],
    )
    def test_an_answer_from_before_execution_is_unclear_under_the_same_key(
        self, desk: Desk, status: int, body: Any
    ) -> None:
        outcome = desk.issue(answer(status, body, {"Retry-After": "5", "Location": "/v1/x"}))
        assert isinstance(outcome, CreditNoteUnclear)
        assert not outcome.new_epoch

    def test_stripes_wish_to_wait_is_passed_on(self, desk: Desk) -> None:
        outcome = desk.issue(answer(429, error_body(), {"Retry-After": "5"}))
        assert outcome == CreditNoteUnclear("Stripe says no.", retry_after_s=5)

    @pytest.mark.parametrize("status", [400, 404])
    def test_what_stripe_does_not_know_yet_is_asked_again(self, desk: Desk, status: int) -> None:
        outcome = desk.issue(answer(status, error_body(code="resource_missing")))
        assert outcome == CreditNoteUnclear("Stripe says no.", new_epoch=True)

    @pytest.mark.parametrize("code", [None, "invoice_not_editable"])
    def test_stripes_own_refusal_is_told_with_its_code(self, desk: Desk, code: str | None) -> None:
        outcome = desk.issue(answer(400, error_body(code=code)))
        assert outcome == CreditNoteRefused("Stripe says no.", code)

    def test_without_a_key_it_is_unclear(self, desk: Desk, key: StoredKey) -> None:
        key.unavailable = True
        outcome = desk.issue()
        assert isinstance(outcome, CreditNoteUnclear)
        assert "KeyUnavailableError" in outcome.reason
        assert desk.arrived == []

    def test_it_is_sent_again_with_a_rotated_key_and_the_same_idempotency_key(
        self, desk: Desk, key: StoredKey
    ) -> None:
        key.rotate("sk_test_two")
        outcome = desk.issue(answer(401, error_body()), answer(200, note_body()))
        assert outcome == CreditNoteIssued("cn_1")
        sent = [(a.headers["authorization"], a.headers["idempotency-key"]) for a in desk.arrived]
        assert sent == [
            ("Bearer sk_test_one", "rfd_1:credit_note"),
            ("Bearer sk_test_two", "rfd_1:credit_note"),
        ]


class TestLookingUp:
    """The invoice's notes, page by page."""

    def test_the_note_is_the_one_that_names_the_refund(self, desk: Desk) -> None:
        others = [
            note_body(id="cn_3", metadata={"refund_bridge_id": "rfd_3"}),
            note_body(id="cn_2", metadata={}),
            note_body(id="cn_0", metadata=None),
        ]
        assert desk.look_up(answer(200, list_body(*others, note_body()))) == "cn_1"
        [asked] = desk.arrived
        assert (asked.method, urlsplit(asked.path).path) == ("GET", "/v1/credit_notes")
        assert parse_qs(urlsplit(asked.path).query) == {"invoice": ["in_1"], "limit": ["100"]}

    def test_one_that_was_voided_since_is_still_that_note(self, desk: Desk) -> None:
        assert desk.look_up(answer(200, list_body(note_body(status="void")))) == "cn_1"

    @pytest.mark.parametrize("has_more", [True, False])
    def test_an_empty_page_is_the_end(self, desk: Desk, has_more: bool) -> None:
        assert desk.look_up(answer(200, list_body(has_more=has_more))) is None

    def test_the_next_page_begins_after_the_last_note(self, desk: Desk) -> None:
        others = [note_body(id=name, metadata={}) for name in ("cn_9", "cn_8")]
        first = answer(200, list_body(*others, has_more=True))
        assert desk.look_up(first, answer(200, list_body(note_body()))) == "cn_1"
        query = parse_qs(urlsplit(desk.arrived[1].path).query)
        assert query == {"invoice": ["in_1"], "limit": ["100"], "starting_after": ["cn_8"]}

    def test_after_ten_pages_nothing_is_certain(self, desk: Desk) -> None:
        page = answer(200, list_body(note_body(id="cn_9", metadata={}), has_more=True))
        with pytest.raises(ProviderUnavailableError, match="more credit notes"):
            desk.look_up(*[page] * (PAGES_MAX + 1))
        assert len(desk.arrived) == PAGES_MAX == 10

    @pytest.mark.parametrize(
        "body",
        [
            {"object": "list", "data": [], "has_more": None},
            {"object": "list", "data": None, "has_more": False},
            {"object": "list", "has_more": False},
            list_body("cn_1"),
            list_body(note_body(id=None)),
            list_body(note_body(id=7)),
            list_body(note_body(metadata="rfd_1")),
        ],
    )
    def test_a_list_that_cannot_be_read_says_nothing(self, desk: Desk, body: Any) -> None:
        with pytest.raises(UnreadableAnswerError):
            desk.look_up(answer(200, body))

    def test_an_invoice_that_stripe_does_not_know_is_not_found(self, desk: Desk) -> None:
        missing = answer(404, error_body(code="resource_missing"))
        with pytest.raises(StripeObjectNotFoundError, match=r"Stripe says no\."):
            desk.look_up(missing)

    def test_an_id_that_could_name_something_else_is_never_sent(self, desk: Desk) -> None:
        with pytest.raises(StripeObjectNotFoundError):
            desk.look_up(invoice="in_1/void")
        assert desk.arrived == []

    def test_a_failed_read_is_tried_once_more(self, desk: Desk) -> None:
        assert desk.look_up(answer(503, b""), answer(200, list_body(note_body()))) == "cn_1"
        with pytest.raises(ProviderUnavailableError):
            desk.look_up(*[answer(503, b"")] * 2)
        assert len(desk.arrived) == 2
