"""What the Convenient Checkout Gateway is sent, and what each of its answers means."""

from dataclasses import replace
from typing import Any

import pytest

from refund_bridge.adapters.http.client import DeadlineHttp
from refund_bridge.domain.charge import ProcessorRefundStatus
from refund_bridge.domain.instruction import Accepted, Outcome, Rejected, Unknown
from refund_bridge.domain.money import Money
from refund_bridge.domain.refund_request import PaymentMethodKind
from refund_bridge.processors.ccg.adapter import Ccg
from refund_bridge.processors.ccg.objects import AmountUnit
from tests.unit.processors.adapters import (
    INSTRUCTION,
    MERCHANT,
    REFUND_ID,
    UNLINKED,
    ccg_error,
    ccg_refund,
    ccg_settings,
    ccg_unlinked,
    sent_json,
)
from tests.unit.processors.doubles import FrozenWallClock, StoredKey
from tests.unit.processors.raw_server import RawServer, answer, hang_up

READ = f"GET /v1/refunds?merchantTransactionId={REFUND_ID}"
NO_ROUTE = answer(404, {"message": "no route"})
# What it says of a used key is not documented; these are ways in which it may.
USED = ["merchantTransactionId already exists", "Duplicate Merchant Transaction Id"]


@pytest.fixture
def outcome_of(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(
        *scripts: Any, settings: dict[str, Any] | None = None, **changes: Any
    ) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            adapter = Ccg(ccg_settings(server.url, **(settings or {})), key=key, http=http)
            return adapter.refund(replace(INSTRUCTION, **changes), clock.deadline()), server

    return ask


@pytest.fixture
def unlinked_outcome_of(http: DeadlineHttp, key: StoredKey, clock: FrozenWallClock) -> Any:
    def ask(*scripts: Any, **changes: Any) -> tuple[Outcome, RawServer]:
        with RawServer(*scripts) as server:
            adapter = Ccg(ccg_settings(server.url), key=key, http=http)
            instruction = replace(UNLINKED, **changes)
            return adapter.refund_unlinked(instruction, clock.deadline()), server

    return ask


class TestALinkedRefund:
    """A refund of a payment."""

    def test_it_is_sent_our_id_and_the_resolved_amount(self, outcome_of: Any) -> None:
        _, server = outcome_of(answer(200, ccg_refund()), metadata={"not": "sent"})
        sent = server.arrived[0]
        assert server.requests == ["POST /v1/refunds"]
        assert sent.headers["x-merchant-id"] == MERCHANT
        assert "x-upstream-env" not in sent.headers
        assert sent_json(sent.body) == {
            "amount": 5000,
            "paymentId": "pay-1",
            "merchantTransactionId": REFUND_ID,
        }

    def test_outside_of_production_it_is_told_which_environment(self, outcome_of: Any) -> None:
        _, server = outcome_of(answer(200, ccg_refund()), settings={"upstream_env": "stage"})
        assert server.arrived[0].headers["x-upstream-env"] == "stage"

    @pytest.mark.parametrize(
        ("unit", "money", "written"),
        [
            (AmountUnit.MINOR, Money(5000, "usd"), b'"amount": 5000,'),
            (AmountUnit.MAJOR, Money(5000, "usd"), b'"amount": 50.00,'),
            (AmountUnit.MAJOR, Money(7, "usd"), b'"amount": 0.07,'),
            (AmountUnit.MINOR, Money(5000, "jpy"), b'"amount": 5000,'),
            (AmountUnit.MAJOR, Money(5000, "jpy"), b'"amount": 5000,'),
            (AmountUnit.MAJOR, Money(5000, "kwd"), b'"amount": 5.000,'),
        ],
    )
    def test_amounts_are_numbers_of_the_unit_that_is_set(
        self, outcome_of: Any, unit: AmountUnit, money: Money, written: bytes
    ) -> None:
        settings = {"amount_unit": unit, "currency": money.currency}
        _, server = outcome_of(answer(500), settings=settings, money=money)
        assert written in server.arrived[0].body

    def test_a_currency_that_the_account_has_not_is_not_asked_for(self, outcome_of: Any) -> None:
        outcome, server = outcome_of(money=Money(5000, "eur"))
        assert isinstance(outcome, Rejected)
        assert (outcome.status, outcome.code) == (422, "currency_not_supported")
        assert server.connections == 0

    @pytest.mark.parametrize(
        ("reason", "documented", "every"),
        [
            (None, None, None),
            ("duplicate", "DUPLICATE", "DUPLICATE"),
            ("fraudulent", None, "FRAUDULENT"),
            ("requested_by_customer", None, "REQUESTED_BY_CUSTOMER"),
            ("It was too small.", None, "It was too small."),
            ("x" * 50, None, "x" * 50),
            ("x" * 51, None, "x" * 49 + "…"),
        ],
    )
    def test_reasons_are_passed_on_as_far_as_they_are_set_to_be(
        self, outcome_of: Any, reason: str | None, documented: str | None, every: str | None
    ) -> None:
        for setting, told in (("documented", documented), ("all", every)):
            _, server = outcome_of(
                answer(200, ccg_refund()), settings={"reasons": setting}, reason=reason
            )
            assert sent_json(server.arrived[0].body).get("reason") == told

    @pytest.mark.parametrize("status", ["INITIATED", "COMPLETED"])
    def test_an_answer_without_an_amount_is_believed_but_never_final(
        self, outcome_of: Any, status: str
    ) -> None:
        # The sample of a linked refund's answer shows none; the look-up after it does.
        outcome, _ = outcome_of(answer(200, ccg_refund(amount=None, status=status)))
        assert isinstance(outcome, Accepted)
        processor_refund = outcome.processor_refund
        assert (processor_refund.id, processor_refund.instruction_id) == ("257d30aa", REFUND_ID)
        assert (processor_refund.money, processor_refund.status) == (
            INSTRUCTION.money,
            ProcessorRefundStatus.PENDING,
        )

    def test_an_amount_in_the_other_unit_disagrees(self, outcome_of: Any) -> None:
        outcome, _ = outcome_of(
            answer(200, ccg_refund(amount=5000)), settings={"amount_unit": AmountUnit.MAJOR}
        )
        assert isinstance(outcome, Unknown)

    @pytest.mark.parametrize("shown", [b"50", b"50.0", b"50.00"])
    def test_a_major_amount_is_read_exactly(self, outcome_of: Any, shown: bytes) -> None:
        body = (
            b'{"data": {"id": "257d30aa", "paymentId": "pay-1", "status": "COMPLETED",'
            b' "merchantTransactionId": "' + REFUND_ID.encode() + b'", "amount": ' + shown + b"}}"
        )
        outcome, _ = outcome_of(answer(200, body), settings={"amount_unit": AmountUnit.MAJOR})
        assert isinstance(outcome, Accepted)
        assert outcome.processor_refund.money == INSTRUCTION.money

    @pytest.mark.parametrize("detail", USED)
    def test_a_refusal_that_speaks_of_the_key_is_read(self, outcome_of: Any, detail: str) -> None:
        outcome, server = outcome_of(
            answer(400, ccg_error(detail)), answer(200, ccg_refund(status="COMPLETED"))
        )
        assert isinstance(outcome, Accepted)
        assert outcome.processor_refund.status is ProcessorRefundStatus.SUCCEEDED
        assert server.requests == ["POST /v1/refunds", READ]

    @pytest.mark.parametrize("data", [None, []])
    def test_a_refusal_of_a_key_that_is_not_there_is_final(
        self, outcome_of: Any, data: Any
    ) -> None:
        detail = "merchantTransactionId is not valid"
        outcome, _ = outcome_of(answer(400, ccg_error(detail)), answer(200, {"data": data}))
        assert outcome == Rejected(detail, 400, "INVALID_REQUEST")

    @pytest.mark.parametrize(
        "read",
        [
            NO_ROUTE,
            answer(404, ccg_error("Refund not found")),
            answer(405, {"message": "no"}),
            answer(400, ccg_error("merchantTransactionId is not a parameter")),
            answer(200, {}),
            answer(200, b"[]"),
            answer(200, {"data": [ccg_refund()["data"], ccg_refund(id="2")["data"]]}),
            answer(200, ccg_refund(merchantTransactionId="rfd_of_somebody_else")),
            answer(200, ccg_refund(paymentId="pay-2")),
            answer(200, ccg_refund(amount=4999)),
            answer(200, ccg_refund(amount=None)),
            answer(200, ccg_unlinked()),
        ],
    )
    def test_a_key_that_cannot_be_read_leaves_it_unknown(self, outcome_of: Any, read: Any) -> None:
        outcome, server = outcome_of(answer(400, ccg_error(USED[0])), read)
        assert isinstance(outcome, Unknown)
        assert server.requests == ["POST /v1/refunds", READ]

    def test_a_repeated_instruction_is_accepted_if_its_key_is_there(self, outcome_of: Any) -> None:
        refused = answer(400, ccg_error("Cannot issue refund for this payment"))
        found = answer(200, {"data": [ccg_refund()["data"]]})
        outcome, server = outcome_of(refused, found, repeated=True)
        assert isinstance(outcome, Accepted)
        assert server.requests == ["POST /v1/refunds", READ]

    @pytest.mark.parametrize(
        "scripts",
        [
            [answer(400, ccg_error("Cannot issue refund for this payment")), NO_ROUTE],
            [answer(400, ccg_error("No.")), answer(200, {"data": None})],
            [answer(401)],
            [answer(429)],
            [hang_up],
        ],
    )
    def test_a_repeated_instruction_is_otherwise_unknown(
        self, outcome_of: Any, scripts: list[Any]
    ) -> None:
        outcome, _ = outcome_of(*scripts, repeated=True)
        assert isinstance(outcome, Unknown)


class TestAnUnlinkedRefund:
    """Money to a card without a payment."""

    def test_it_is_sent_the_method_the_customer_and_the_amount(
        self, unlinked_outcome_of: Any
    ) -> None:
        outcome, server = unlinked_outcome_of(answer(200, ccg_unlinked()), reason="duplicate")
        assert sent_json(server.arrived[0].body) == {
            "amount": 5000,
            "paymentMethodId": "method-1",
            "customer": {"hsid": "9c80e161"},
            "merchantTransactionId": REFUND_ID,
            "reason": "DUPLICATE",
        }
        assert isinstance(outcome, Accepted)
        processor_refund = outcome.processor_refund
        assert (processor_refund.payment_id, processor_refund.payment_method) == ("", "method-1")

    def test_a_bank_account_is_not_asked_for(self, unlinked_outcome_of: Any) -> None:
        outcome, server = unlinked_outcome_of(kind=PaymentMethodKind.BANK_ACCOUNT)
        assert isinstance(outcome, Rejected)
        assert (outcome.status, outcome.code) == (422, "bank_account_refused")
        assert "bank account" in outcome.message
        assert server.connections == 0

    @pytest.mark.parametrize("kind", [None, PaymentMethodKind.CARD])
    def test_what_may_be_a_card_is_asked_for(
        self, unlinked_outcome_of: Any, kind: PaymentMethodKind | None
    ) -> None:
        detail = "Unlinked refunds are not supported for bank accounts"
        outcome, server = unlinked_outcome_of(answer(400, ccg_error(detail)), kind=kind)
        assert outcome == Rejected(detail, 400, "INVALID_REQUEST")
        assert len(server.arrived) == 1

    @pytest.mark.parametrize(
        "body",
        [
            ccg_unlinked(paymentMethodId="method-2"),
            ccg_unlinked(paymentMethodId=None),
            ccg_unlinked(amount=4999),
            ccg_refund(),
        ],
    )
    def test_a_success_for_another_is_unknown(self, unlinked_outcome_of: Any, body: Any) -> None:
        outcome, _ = unlinked_outcome_of(answer(200, body))
        assert isinstance(outcome, Unknown)

    def test_a_currency_that_the_account_has_not_is_not_asked_for(
        self, unlinked_outcome_of: Any
    ) -> None:
        outcome, server = unlinked_outcome_of(money=Money(5000, "eur"))
        assert isinstance(outcome, Rejected)
        assert server.connections == 0

    def test_a_repeat_that_is_refused_is_read(self, unlinked_outcome_of: Any) -> None:
        outcome, server = unlinked_outcome_of(
            answer(400, ccg_error(USED[0])), answer(200, ccg_unlinked())
        )
        assert isinstance(outcome, Accepted)
        assert server.requests == ["POST /v1/refunds", READ]

    def test_the_customer_is_not_shown(self) -> None:
        assert "9c80e161" not in repr(UNLINKED)

    @pytest.mark.parametrize("spelt", ["9c80e161", "9C80E161"])
    def test_a_refusal_that_names_the_customer_is_told_without_them(
        self, unlinked_outcome_of: Any, spelt: str
    ) -> None:
        refusal = ccg_error(f"No customer {spelt} has this method.", title=f"CUSTOMER_{spelt}")
        outcome, _ = unlinked_outcome_of(answer(400, refusal))
        assert outcome == Rejected("No customer *** has this method.", 400, "CUSTOMER_***")

    def test_nor_does_an_outcome_that_is_not_known_name_the_customer(
        self, unlinked_outcome_of: Any
    ) -> None:
        refusal = ccg_error("Customer 9c80e161: merchantTransactionId was used.")
        outcome, _ = unlinked_outcome_of(
            answer(400, refusal), answer(200, {"data": []}), repeated=True
        )
        assert isinstance(outcome, Unknown)
        assert "Customer ***" in outcome.reason
        assert "9c80e161" not in outcome.reason
