"""What each error says of itself: whether it is final, and whether nothing moved."""

import pytest

from refund_bridge.domain.errors import (
    AmountRefusedError,
    AttemptsSpentError,
    CurrencyMismatchError,
    IdempotencyKeyRequiredError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    KeyInUseError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    RefundAmountExceededError,
    RefundBridgeError,
    RefundRejectedError,
    final_codes,
)

FINAL: list[type[RefundBridgeError]] = [
    AmountRefusedError,
    AttemptsSpentError,
    CurrencyMismatchError,
    IdempotencyKeyRequiredError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    PayloadTooLargeError,
    PaymentLinkConflictError,
    PaymentNotFoundError,
    PaymentNotLinkedError,
    PaymentNotRefundableError,
    RefundAmountExceededError,
    RefundRejectedError,
]
EVERY = RefundBridgeError.__subclasses__()


@pytest.mark.parametrize("kind", EVERY)
def test_final_is_what_comes_to_the_same_whenever_it_is_asked_again(
    kind: type[RefundBridgeError],
) -> None:
    assert kind.final is (kind in FINAL)


@pytest.mark.parametrize("kind", EVERY)
def test_all_promise_that_nothing_moved_but_those_that_leave_the_outcome_open(
    kind: type[RefundBridgeError],
) -> None:
    assert kind.moved_nothing is (kind not in (KeyInUseError, OutcomeUnknownError))


def test_no_code_is_final_for_one_and_not_for_another() -> None:
    passing = {kind.code for kind in EVERY if not kind.final}
    assert final_codes() == {kind.code for kind in FINAL}
    assert not final_codes() & passing
