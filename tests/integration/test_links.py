"""A Payment Record and a charge claim each other, once and for ever."""

from local.http_client import RefundApiClient
from local.simulators import payments
from local.simulators.payments import seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack


def test_a_second_record_cannot_claim_the_same_charge(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given two records that name one charge, the first of which was refunded in part
    first = api.create_refund(
        "links-shared-one", payment_record=payments.SHARED_ONE.record_id, amount=100
    )
    assert first.status == 201, first.text
    # When a refund is asked for by the second
    second = api.create_refund(
        "links-shared-two", payment_record=payments.SHARED_TWO.record_id, amount=100
    )
    # Then it is refused, says which record the charge is linked to, and nothing was sent
    assert (second.status, second.body["error"]["code"]) == (409, "payment_link_conflict")
    assert second.body["error"]["details"]["linked"] == payments.SHARED_ONE.record_id
    assert len(stack.control.refunds(payments.SHARED_ONE.charge_id)) == 1


def test_a_record_whose_metadata_was_edited_is_refused(
    stack: RunningStack, api: RefundApiClient
) -> None:
    # Given a payment that was refunded in part
    payment, other = DemoPayment("links_edited", 5000), DemoPayment("links_other", 5000)
    stack.control.seed(seed_of(payment, other))
    assert api.create_refund("links-1", payment_record=payment.record_id, amount=1).status == 201
    # When its record's metadata is edited to name another charge
    edited = DemoPayment("links_edited", 5000, charge_name="links_other")
    stack.control.seed(seed_of(edited))
    again = api.create_refund("links-2", payment_record=payment.record_id, amount=1)
    # Then nothing is sent to either charge
    assert (again.status, again.body["error"]["code"]) == (409, "payment_link_conflict")
    assert len(stack.control.refunds(payment.charge_id)) == 1
    assert stack.control.refunds(other.charge_id) == []


def test_a_charge_of_another_amount_than_its_record_is_refused(
    stack: RunningStack, api: RefundApiClient
) -> None:
    payment = DemoPayment("links_amount", 5000, on_charge={"amount": "49.99"})
    stack.control.seed(seed_of(payment))
    answer = api.create_refund("links-amount", payment_record=payment.record_id)
    assert (answer.status, answer.body["error"]["code"]) == (409, "payment_link_conflict")
    assert stack.control.refunds(payment.charge_id) == []
