"""Which lines are sent under which type, in Stripe's form, and as Stripe's library reads them."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest
import stripe

from refund_bridge.contract.refund_object import refund_object
from refund_bridge.delivering.address import (
    DEFAULT_API_VERSION,
    TYPES,
    SigningSecret,
    WebhookAddress,
)
from refund_bridge.delivering.event import BODY_BYTES_MAX, body_of_test, event_body, lines_of
from refund_bridge.delivering.signature import signature_of
from refund_bridge.domain.payment import payment_key_of
from refund_bridge.domain.refund import TAKEN_BACK, Entry, Failure, Refund
from refund_bridge.domain.refund_request import RefundType
from refund_bridge.domain.state_machine import State
from refund_bridge.refunding.withdraw import FAILURE
from tests.fakes.world import World

SECRETS = ("whsec_" + "a1" * 20, "whsec_" + "b2" * 20)
TO = WebhookAddress(
    id="we_00000000000000aa",
    url="https://shop.example.com/",
    secrets=tuple(SigningSecret(one) for one in SECRETS),
)


@pytest.fixture
def world() -> World:
    made = World()
    made.pay()
    return made


def told(refund: Refund, *steps: tuple[str | None, str], cause: str = "because") -> list[str]:
    """The types of the events of a history of these steps."""
    history = tuple(
        Entry(seq=n, at_ms=n, before=before, after=after, cause=cause, actor="somebody")
        for n, (before, after) in enumerate(steps, start=1)
    )
    return [
        line.type for line in lines_of(replace(refund, history=history), None, after_sequence=0)
    ]


def test_an_instant_success_is_created_only(world: World) -> None:
    refund = world.refund("order-1").refund
    assert [line.type for line in lines_of(refund, None, after_sequence=0)] == ["refund.created"]


def test_what_waits_is_created_and_what_becomes_of_it_updated(world: World) -> None:
    refund = world.refund("order-1").refund
    begins = ((None, "submitting"), ("submitting", "pending"))
    assert told(refund, *begins, ("pending", "succeeded")) == ["refund.created", "refund.updated"]
    assert told(refund, *begins, ("pending", "failed")) == ["refund.created", "refund.failed"]
    assert told(refund, *begins, ("pending", "review"), ("review", "succeeded")) == [
        "refund.created",
        "refund_bridge.refund.needs_review",
        "refund.updated",
    ]


def test_what_is_refused_at_once_has_failed(world: World) -> None:
    refund = world.refund("order-1").refund
    assert told(refund, (None, "submitting"), ("submitting", "rejected")) == ["refund.failed"]


def test_what_stripe_is_told_has_words_of_ours(world: World) -> None:
    refund = world.refund("order-1").refund
    begins = ((None, "submitting"), ("submitting", "succeeded"))
    accepted = told(refund, *begins, ("report:due", "report:reported"), cause="stripe_accepted")
    assert accepted[-1] == "refund_bridge.refund.reported"
    failed = told(refund, *begins, ("report:due", "report:failed"))
    assert failed[-1] == "refund_bridge.refund.report_failed"


def test_what_the_processor_takes_back_has_failed(world: World) -> None:
    refund = world.refund("order-1").refund
    assert told(refund, ("succeeded", "succeeded"), cause=TAKEN_BACK) == ["refund.failed"]


def test_what_its_caller_took_back_is_updated(world: World) -> None:
    refund = world.refund("order-1", refund_type=RefundType.SCHEDULED).refund
    canceled = replace(refund, state=State.FAILED, failure=FAILURE)
    steps = ((None, "requested"), ("requested", "failed"))
    assert told(canceled, *steps, cause="withdrawn") == ["refund.created", "refund.updated"]
    failed = replace(canceled, failure=Failure(code="refused", message="No."))
    assert told(failed, *steps) == ["refund.created", "refund.failed"]


def test_every_type_can_be_chosen() -> None:
    assert set(TYPES) == {
        "refund.created",
        "refund.updated",
        "refund.failed",
        "refund_bridge.refund.needs_review",
        "refund_bridge.refund.reported",
        "refund_bridge.refund.report_failed",
    }


def body_of(world: World, **asked: Any) -> bytes:
    refund = world.refund("order-1", **asked).refund
    payment = world.ledger.payments[payment_key_of(refund)]
    (line,) = lines_of(refund, payment, after_sequence=0)
    return event_body(line, TO, livemode=False)


def test_the_event_has_stripes_members_and_shows_the_refund_as_it_is(world: World) -> None:
    event = json.loads(body_of(world, amount=2500, metadata={"order": "7"}))
    refund = world.stored("order-1")
    payment = world.ledger.payments[payment_key_of(refund)]
    assert event.pop("id").startswith("evt_")
    ours = event.pop("refund_bridge")
    assert event == {
        "object": "event",
        "api_version": DEFAULT_API_VERSION,
        "created": refund.history[-1].at_ms // 1000,
        "livemode": False,
        "pending_webhooks": 0,
        "request": None,
        "type": "refund.created",
        "data": {"object": json.loads(json.dumps(refund_object(refund, payment)))},
    }
    assert ours["event_id"] == f"{refund.id}:{ours['sequence']}"
    assert ours["name"] == "Refund Succeeded"


def test_the_same_line_has_the_same_id_at_every_address(world: World) -> None:
    refund = world.refund("order-1").refund
    (line,) = lines_of(refund, None, after_sequence=0)
    other = replace(TO, id="we_00000000000000bb", api_version="2025-01-01")
    mine, theirs = (json.loads(event_body(line, to, livemode=True)) for to in (TO, other))
    assert mine["id"] == theirs["id"]
    assert (mine["api_version"], theirs["api_version"]) == (DEFAULT_API_VERSION, "2025-01-01")


@pytest.mark.parametrize("secret", SECRETS)
def test_stripes_library_takes_it_under_every_valid_secret(world: World, secret: str) -> None:
    body = body_of(world, metadata={"note": "für 5 €"})
    header = signature_of(body, SECRETS, at_s=int(time.time()))
    event = stripe.Webhook.construct_event(body, header, secret)
    assert event.type == "refund.created"
    assert isinstance(event, stripe.Event)
    assert event.data.object["metadata"]["note"] == "für 5 €"


@pytest.mark.parametrize("age_s", [301, 86_400])
def test_stripes_library_refuses_what_was_signed_long_ago(world: World, age_s: int) -> None:
    body = body_of(world)
    header = signature_of(body, SECRETS, at_s=int(time.time()) - age_s)
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, SECRETS[0])


def test_stripes_library_refuses_another_secret_and_another_body(world: World) -> None:
    body = body_of(world)
    header = signature_of(body, SECRETS[:1], at_s=int(time.time()))
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body, header, SECRETS[1])
    with pytest.raises(stripe.SignatureVerificationError):
        stripe.Webhook.construct_event(body + b" ", header, SECRETS[0])


def test_the_default_version_is_that_of_stripes_library() -> None:
    assert stripe.api_version == DEFAULT_API_VERSION


def test_the_test_event_is_taken_by_stripes_library() -> None:
    body = body_of_test("test_1", TO, at_ms=1_700_000_000_000, livemode=False)
    header = signature_of(body, SECRETS, at_s=int(time.time()))
    event = stripe.Webhook.construct_event(body, header, SECRETS[0])
    assert event.type == "refund_bridge.test"


def test_the_largest_refund_fits(world: World) -> None:
    metadata = {f"{n:02d}" + "\N{GRINNING FACE}" * 19: "\N{GRINNING FACE}" * 250 for n in range(50)}
    assert len(body_of(world, metadata=metadata, reason="é" * 255)) < BODY_BYTES_MAX


def test_no_event_holds_the_idempotency_key(world: World) -> None:
    assert b"order-1" not in body_of(world)
