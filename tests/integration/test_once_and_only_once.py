"""Callers that repeat, race and give up: the money moves once."""

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

from deployed.polling import wait_for
from local.http_client import Answer, RefundApiClient
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack

# Each has a worker of its own in the embedded cloud, and starting one costs a second.
CALLERS = 8


def paid(stack: RunningStack, name: str, amount: int = 9999) -> DemoPayment:
    """A payment of the test's own."""
    payment = DemoPayment(name, amount)
    stack.control.seed(seed_of(payment))
    return payment


def warm_up(api: RefundApiClient) -> None:
    """Start a worker for each caller first: cold starts are queued, so there would be no race."""
    with ThreadPoolExecutor(CALLERS) as pool:
        for answer in pool.map(lambda _: api.read_refund("rfd_nobody"), range(CALLERS)):
            assert answer.status == 404


def test_many_posts_of_one_key_at_once_are_one_refund(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a payment, and workers that are awake
    warm_up(api)
    payment = paid(stack, "once_one_key")
    # And a HitPay that is slow to show the charge: all that arrive meanwhile find no refund yet
    stack.control.add_fault(
        "hitpay", "charge.read", "delay", match=payment.charge_id, seconds=2, times=None
    )
    # When many calls with one key arrive at once
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(
            pool.map(
                lambda _: api.create_refund(
                    "once-one-key", payment_record=payment.record_id, amount=2500
                ),
                range(CALLERS),
            )
        )
    # Then one of them executed it, the others were told so or to repeat
    statuses = [answer.status for answer in answers]
    assert statuses.count(201) == 1, statuses
    assert set(statuses) <= {200, 201, 409}, statuses
    in_use = [answer for answer in answers if answer.status == 409]
    assert {answer.body["error"]["code"] for answer in in_use} <= {"idempotency_key_in_use"}
    assert all("Retry-After" in answer.headers for answer in in_use)
    # And it was a race: others had read the charge for nothing
    reads = stack.control.calls("hitpay", "charge.read")
    assert sum(payment.charge_id in call.path for call in reads) > 1
    # And HitPay moved the money once
    assert len(stack.control.refunds(payment.charge_id)) == 1
    # And whoever repeats is told of that one
    repeated = api.create_refund("once-one-key", payment_record=payment.record_id, amount=2500)
    assert repeated.status == 200
    assert repeated.headers["Idempotent-Replayed"] == "true"
    assert {answer.body["id"] for answer in answers if answer.status < 300} == {repeated.body["id"]}


def test_many_keys_at_once_never_refund_more_than_was_paid(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a payment of SGD 99.99
    payment = paid(stack, "once_many_keys")

    def insist(number: int) -> Answer:
        """Repeat with the same key for as long as the payment is busy."""

        def ask() -> Answer | None:
            answer = api.create_refund(
                f"once-many-{number}", payment_record=payment.record_id, amount=1800
            )
            return None if answer.status == 409 else answer

        return wait_for(ask, f"an answer other than 409 for key {number}", at_most=180)

    # When eight refunds of SGD 18.00 are asked for at once, under different keys
    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(insist, range(CALLERS)))
    # Then five succeed and three are too much
    assert [answer.status for answer in answers].count(201) == 5
    too_much = [answer.body["error"] for answer in answers if answer.status == 422]
    assert len(too_much) == 3
    assert {error["code"] for error in too_much} == {"refund_amount_exceeded"}
    # And HitPay moved SGD 90.00
    made = stack.control.refunds(payment.charge_id)
    assert (len(made), sum(refund.amount for refund in made)) == (5, Decimal("90.00"))


def test_a_lost_answer_to_a_full_refund_is_found_again_with_both_providers_down(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a full refund that succeeded, whose answer the caller never saw
    payment = paid(stack, "once_lost_answer")
    first = api.create_refund("once-lost-answer", payment_record=payment.record_id)
    assert first.status == 201, first.text
    # When both providers go down and the caller repeats
    for provider in ("hitpay", "stripe"):
        stack.control.add_fault(provider, "*", "lost_request", times=None)
    calls_before = len(stack.control.calls())
    again = api.create_refund("once-lost-answer", payment_record=payment.record_id)
    # Then it is the same refund, and nobody was asked
    assert again.status == 200
    assert again.body["id"] == first.body["id"]
    assert again.body["processor_refund_id"] == first.body["processor_refund_id"]
    new_calls = stack.control.calls()[calls_before:]
    own = (payment.charge_id, payment.record_id)
    asked = {call.operation for call in new_calls if any(name in call.path for name in own)}
    assert asked <= {"payment_record.report_refund"}  # the background's own work


def test_an_answer_of_hitpay_that_is_lost_leaves_the_refund_pending_and_unsent_again(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a HitPay that executes the refund, resets the connection, and does not show it yet
    payment = paid(stack, "once_reset")
    stack.control.add_fault("hitpay", "refund.create", "commit_then_reset", match=payment.charge_id)
    # When a refund is asked for
    first = api.create_refund("once-reset", payment_record=payment.record_id, amount=2500)
    # Then it is pending, with its money held
    assert (first.status, first.body["status"]) == (202, "pending"), first.text
    assert first.body["payment"]["refundable_amount"] == 7499
    stack.control.add_fault("hitpay", "charge.read", "hide", match=payment.charge_id, times=None)
    # And repeating it sends nothing
    for _ in range(3):
        again = api.create_refund("once-reset", payment_record=payment.record_id, amount=2500)
        assert (again.status, again.body["id"]) == (202, first.body["id"])
    assert len(stack.control.refunds(payment.charge_id)) == 1
    # And another refund of the payment has to wait
    other = api.create_refund("once-reset-other", payment_record=payment.record_id, amount=100)
    assert (other.status, other.body["error"]["code"]) == (409, "payment_busy")
    assert other.body["error"]["details"]["blocking_refund"] == {
        "id": first.body["id"],
        "status": "pending",
    }
    assert "Retry-After" in other.headers
