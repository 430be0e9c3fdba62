"""Stripe's official SDKs, as their registries have them, are clients of this API.

Each runs against the deployed template, at a domain of its own: TLS, and no path in front. PHP's
does not run here; what it once wrote is sent as it was recorded, to the stage's own address.
"""

import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPResponse
from itertools import count
from typing import Any
from urllib.parse import urlsplit

import pytest

from deployed.polling import wait_for
from local.http_client import Answer, Exchange, RefundApiClient
from local.simulators.payments import fresh_payments, seed_of
from local.simulators.seeding import DemoPayment
from local.stack import RunningStack
from refund_bridge.domain.refund import refund_id_of
from refund_bridge.http.callers import READ
from tests.fakes.world import STAGE as RECORDED_STAGE
from tests.openapi.watch import Watch
from tests.sdks.clients import NodeSdk, PythonSdk, Sdk, SdkError, has_node, install_node_sdk
from tests.sdks.recorded import Recorded
from tests.sdks.tls_proxy import TlsProxy

PAYMENTS = 60
# Of the networks for documentation, and of no other test.
ADDRESSES = (f"203.0.113.{number}" for number in count(1))
REFUSED_BY_HITPAY = {"message": "Insufficient balance."}
needs_node = pytest.mark.skipif(not has_node(), reason="this machine has no Node")


@pytest.fixture(scope="module")
def proxy(stack: RunningStack, watch: Watch) -> Iterator[TlsProxy]:
    """The domain. What goes through it is held against the OpenAPI document."""
    with TlsProxy(stack.api_url, watch) as proxy:
        yield proxy


@pytest.fixture(autouse=True)
def no_answer_is_lost(proxy: TlsProxy) -> Iterator[None]:
    """Unless a test says so."""
    proxy.lose_answers = 0
    proxy.calls.clear()
    yield
    proxy.lose_answers = 0


@pytest.fixture(scope="module")
def payments(stack: RunningStack) -> Callable[[], DemoPayment]:
    """One payment after the other, none of them refunded before."""
    made = fresh_payments(PAYMENTS, prefix="sdk")
    stack.control.seed(seed_of(*made))
    return iter(made).__next__


@pytest.fixture
def paid(payments: Callable[[], DemoPayment]) -> DemoPayment:
    """A payment of SGD 99.99 at HitPay, with a PaymentIntent."""
    return payments()


@pytest.fixture(params=["python", pytest.param("node", marks=needs_node)])
def new_sdk(
    request: pytest.FixtureRequest, proxy: TlsProxy, stack: RunningStack
) -> Callable[..., Sdk]:
    """Makes callers by one of the SDKs."""
    if request.param == "node":
        install_node_sdk()
    kind = NodeSdk if request.param == "node" else PythonSdk

    def made(**settings: Any) -> Sdk:
        return kind(port=proxy.port, **{"key": stack.api_key, **settings})

    return made


@pytest.fixture
def sdk(new_sdk: Callable[..., Sdk]) -> Sdk:
    """A caller with every right, who never repeats by itself."""
    return new_sdk()


_numbers = count(1)


def own_key() -> str:
    """A key as a shop makes it: of its own order."""
    return f"sdk-order-{next(_numbers)}"


def intent(payment: DemoPayment) -> str:
    return f"pi_{payment.name}"


def moved(stack: RunningStack, payment: DemoPayment) -> list[int]:
    """The amounts of all refunds that HitPay made of the payment, in minor units."""
    return [int(made.amount * 100) for made in stack.control.refunds(payment.charge_id)]


# --- the verbs ------------------------------------------------------------------------------------


def test_a_whole_payment_is_refunded_by_its_payment_intent(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment
) -> None:
    refund = sdk.create(own_key(), payment_intent=intent(paid), expand=["charge"])
    assert (refund["object"], refund["status"], refund["amount"]) == ("refund", "succeeded", 9999)
    assert (refund["payment_intent"], refund["charge"]) == (intent(paid), None)
    assert isinstance(refund["created"], int)
    assert moved(stack, paid) == [9999]


def test_a_part_is_refunded_and_read_again(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment
) -> None:
    refund = sdk.create(
        own_key(),
        payment_intent=intent(paid),
        amount=2500,
        currency="SGD",
        reason="requested_by_customer",
        metadata={"order": "1007", "note": "", "Größe & Farbe": "a+b = 100 %"},
    )
    assert refund["amount"] == 2500
    assert refund["metadata"] == {"order": "1007", "note": "", "Größe & Farbe": "a+b = 100 %"}
    read = sdk.retrieve(refund["id"], expand=["balance_transaction"])
    shared = read.keys() - {"stripe_report", "updated_at", "idempotency_key"}
    assert {name: read[name] for name in shared} == {name: refund[name] for name in shared}
    assert moved(stack, paid) == [2500]


def test_one_call_refunds_what_stripe_took_itself_too(stack: RunningStack, sdk: Sdk) -> None:
    # Given a payment that HitPay took, and one that Stripe took
    own = DemoPayment(f"sdk_own_{own_key()}".replace("-", "_"), 9999, processor="stripe")
    theirs = DemoPayment(own.name.replace("own", "theirs"), 9999, has_intent=True)
    stack.control.seed(seed_of(own, theirs))
    # When each is refunded by the same call
    refunds = {
        one.processor: sdk.create(own_key(), payment_intent=one.intent_id, amount=2500)
        for one in (theirs, own)
    }
    # Then each went back where it was paid
    assert {one["status"] for one in refunds.values()} == {"succeeded"}
    assert {name: one["processor"] for name, one in refunds.items()} == {
        "hitpay": "hitpay",
        "stripe": "stripe",
    }
    assert moved(stack, theirs) == [2500]
    made = stack.control.processor_refunds("stripe", own.charge_id)
    assert [one.amount for one in made] == [2500]
    # And a charge beside its PaymentIntent is taken, and lists what was refunded of it
    both = sdk.create(own_key(), payment_intent=own.intent_id, charge=own.charge_id, amount=100)
    listed = sdk.page(charge=own.charge_id)["data"]
    assert [one["id"] for one in listed] == [both["id"], refunds["stripe"]["id"]]


def test_the_same_key_is_the_same_refund_through_either_sdk_and_by_json(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment, proxy: TlsProxy
) -> None:
    key = own_key()
    first = sdk.create(key, payment_intent=intent(paid), amount=100)
    again = sdk.create(key, payment_intent=intent(paid), amount=100)
    other = PythonSdk(proxy.port, stack.api_key).create(
        key, payment_intent=intent(paid), amount=100
    )
    assert first["id"] == again["id"] == other["id"]
    assert moved(stack, paid) == [100]
    replayed = [_header(call.answer.headers, "idempotent-replayed") for call in proxy.calls]
    assert replayed == [None, "true", "true"]


def test_all_pages_of_a_list_are_walked(sdk: Sdk, paid: DemoPayment) -> None:
    made = [
        sdk.create(own_key(), payment_intent=intent(paid), amount=amount)["id"]
        for amount in range(1, 8)
    ]
    asked: dict[str, Any] = {"payment_intent": intent(paid), "limit": 3}
    assert sdk.walk(**asked) == made[::-1]
    # And back again: Stripe's SDKs give the oldest first then
    assert sdk.walk(**asked, ending_before=made[0]) == made[1:]
    # And by the time that they were made
    page = sdk.page(**asked)
    assert (page["url"], page["has_more"]) == ("/v1/refunds", True)
    newest = page["data"][0]["created"]
    assert sdk.walk(**asked, created={"gte": newest - 3600, "lt": newest + 1}) == made[::-1]
    assert sdk.walk(**asked, created={"gt": newest}) == []


def test_a_scheduled_refund_is_canceled(stack: RunningStack, sdk: Sdk, paid: DemoPayment) -> None:
    asked = {"payment_intent": intent(paid), "amount": 100, "refund_type": "scheduled"}
    refund = sdk.create(own_key(), **asked)
    assert refund["status"] == "pending"
    canceled = sdk.cancel(refund["id"])
    assert (canceled["status"], canceled["id"]) == ("canceled", refund["id"])
    assert sdk.cancel(refund["id"])["status"] == "canceled"
    assert moved(stack, paid) == []


# --- the errors -----------------------------------------------------------------------------------


def refused(call: Callable[[], object]) -> SdkError:
    with pytest.raises(SdkError) as error:
        call()
    assert error.value.request_id
    return error.value


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"amuont": 100}, ("invalid_request", "amuont")),
        ({"amount": "25.00"}, ("invalid_request", "amount")),
        ({"amount": 10_000}, ("refund_amount_exceeded", "amount")),
        ({"currency": "usd"}, ("currency_mismatch", "currency")),
        ({"metadata": {str(n): "" for n in range(51)}}, ("invalid_request", "metadata")),
        ({"metadata": "x"}, ("invalid_request", "metadata")),
        ({"reverse_transfer": True}, ("invalid_request", "reverse_transfer")),
        ({"expand": ["payment_intent"]}, ("invalid_request", "expand[0]")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_cannot_be_asked_is_an_invalid_request(
    stack: RunningStack,
    sdk: Sdk,
    once: DemoPayment,
    asked: dict[str, Any],
    told: tuple[str, str],
) -> None:
    error = refused(lambda: sdk.create(own_key(), payment_intent=intent(once), **asked))
    assert (error.kind, error.status) == ("InvalidRequestError", 400)
    assert (error.code, error.param) == told
    assert moved(stack, once) == []


@pytest.fixture(scope="module")
def once(payments: Callable[[], DemoPayment]) -> DemoPayment:
    """One payment for all that is refused."""
    return payments()


def test_nothing_left_to_refund_has_stripes_code(sdk: Sdk, paid: DemoPayment) -> None:
    sdk.create(own_key(), payment_intent=intent(paid))
    error = refused(lambda: sdk.create(own_key(), payment_intent=intent(paid)))
    assert (error.kind, error.code) == ("InvalidRequestError", "charge_already_refunded")


def test_what_is_not_there_is_an_invalid_request(sdk: Sdk) -> None:
    for call, code in (
        (lambda: sdk.retrieve(f"rfd_{'a' * 32}"), "refund_not_found"),
        (lambda: sdk.create(own_key(), payment_intent="pi_nowhere"), "payment_not_found"),
        (lambda: sdk.cancel(f"rfd_{'a' * 32}"), "refund_not_found"),
    ):
        error = refused(call)
        assert (error.kind, error.status, error.code) == ("InvalidRequestError", 404, code)


def test_what_was_sent_cannot_be_canceled(sdk: Sdk, paid: DemoPayment) -> None:
    refund = sdk.create(own_key(), payment_intent=intent(paid), amount=1)
    error = refused(lambda: sdk.cancel(refund["id"]))
    assert (error.kind, error.code) == ("InvalidRequestError", "refund_not_cancelable")


def test_a_key_that_comes_with_another_request_is_an_idempotency_error(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment
) -> None:
    key = own_key()
    sdk.create(key, payment_intent=intent(paid), amount=1)
    error = refused(lambda: sdk.create(key, payment_intent=intent(paid), amount=2))
    # Python's shows no code of such an error
    assert error.kind == "IdempotencyError"
    assert error.code in (None, "idempotency_key_reused")
    assert moved(stack, paid) == [1]


def test_a_key_of_stripes_own_is_an_authentication_error(
    stack: RunningStack, new_sdk: Callable[..., Sdk], once: DemoPayment
) -> None:
    stripes = new_sdk(key="sk_live_51abcdefghijklmnop")
    error = refused(lambda: stripes.create(own_key(), payment_intent=intent(once)))
    assert (error.kind, error.status) == ("AuthenticationError", 401)
    assert moved(stack, once) == []


def test_a_key_without_the_right_is_a_permission_error(
    stack: RunningStack, new_sdk: Callable[..., Sdk], once: DemoPayment
) -> None:
    reader = new_sdk(key=stack.new_api_key("sdk-reader", (READ,)))

    def told() -> SdkError | None:
        """What is told once the new key is known."""
        error = refused(lambda: reader.create(own_key(), payment_intent=intent(once)))
        return None if error.kind == "AuthenticationError" else error

    error = wait_for(told, "the key is known", at_most=30, every=0.5)
    assert (error.kind, error.status) == ("PermissionError", 403)
    assert moved(stack, once) == []


@pytest.fixture
def elsewhere(proxy: TlsProxy) -> Iterator[None]:
    """The callers are at an address that nobody else has; the embedded cloud believes the proxy."""
    proxy.caller_address = next(ADDRESSES)
    yield
    proxy.caller_address = None


@pytest.mark.usefixtures("elsewhere")
def test_who_shows_too_many_unknown_keys_has_a_rate_limit_error(
    new_sdk: Callable[..., Sdk], sdk: Sdk, proxy: TlsProxy
) -> None:
    def told(stranger: Sdk) -> SdkError | None:
        """What is told once a worker has met ten; each counts for itself."""
        error = refused(lambda: stranger.retrieve(f"rfd_{'a' * 32}"))
        return None if error.kind == "AuthenticationError" else error

    # Given what met ten: Python's SDK is here already, Node's would start a process for each
    at_hand = PythonSdk(port=proxy.port, key="rbk_nobody")
    wait_for(lambda: told(at_hand), "too many unknown keys", at_most=120, every=0)
    # When a stranger calls from the same address
    stranger = new_sdk(key="rbk_nobody")
    error = wait_for(lambda: told(stranger), "the same worker answers", at_most=120, every=0)
    assert (error.kind, error.status) == ("RateLimitError", 429)
    # Python's shows no code of such an error
    assert error.code in (None, "rate_limited")
    # And a valid key at the same address is let in
    assert refused(lambda: sdk.retrieve(f"rfd_{'a' * 32}")).code == "refund_not_found"


def test_what_the_processor_refuses_is_a_card_error(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment
) -> None:
    stack.control.add_fault(
        "hitpay",
        "refund.create",
        "status",
        match=paid.charge_id,
        status=422,
        body=REFUSED_BY_HITPAY,
    )
    error = refused(lambda: sdk.create(own_key(), payment_intent=intent(paid)))
    assert (error.kind, error.status, error.code) == ("CardError", 402, "refund_rejected")
    assert moved(stack, paid) == []


def test_a_processor_that_cannot_be_asked_is_an_error_of_the_api(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment
) -> None:
    stack.control.add_fault(
        "hitpay", "charge.read", "status", match=paid.charge_id, status=503, times=None
    )
    error = refused(lambda: sdk.create(own_key(), payment_intent=intent(paid)))
    assert (error.kind, error.status) == ("APIError", 503)
    assert moved(stack, paid) == []


def test_an_answer_that_is_lost_is_a_connection_error(
    stack: RunningStack, sdk: Sdk, paid: DemoPayment, proxy: TlsProxy
) -> None:
    # Node repeats a closed connection once, whatever it is told
    proxy.lose_answers = 2
    key = own_key()
    with pytest.raises(SdkError) as error:
        sdk.create(key, payment_intent=intent(paid), amount=1)
    assert error.value.kind == "ConnectionError"
    proxy.lose_answers = 0
    # And a repeat with the same key tells what became of it
    assert sdk.create(key, payment_intent=intent(paid), amount=1)["status"] == "succeeded"
    assert moved(stack, paid) == [1]


# --- their own repeats ----------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 2])
def test_an_sdk_repeats_through_lost_answers_and_one_refund_results(
    stack: RunningStack,
    new_sdk: Callable[..., Sdk],
    paid: DemoPayment,
    proxy: TlsProxy,
    lost: int,
) -> None:
    # Given an SDK that repeats, with a key that it makes itself
    proxy.lose_answers = lost
    refund = new_sdk(retries=3).create(None, payment_intent=intent(paid), amount=1500)
    assert refund["status"] == "succeeded"
    # Then it sent the same key each time, and money moved once
    keys = {_header(call.headers, "idempotency-key") for call in proxy.calls}
    assert len(proxy.calls) == lost + 1
    assert len(keys) == 1
    assert keys != {None}
    assert moved(stack, paid) == [1500]


def test_two_calls_with_one_key_at_once_are_one_refund(
    stack: RunningStack, new_sdk: Callable[..., Sdk], paid: DemoPayment
) -> None:
    stack.control.add_fault("hitpay", "refund.create", "delay", match=paid.charge_id, seconds=3)
    key, sdk = own_key(), new_sdk(retries=2)
    with ThreadPoolExecutor(2) as pool:
        calls = [
            pool.submit(sdk.create, key, payment_intent=intent(paid), amount=700) for _ in range(2)
        ]
        ids = {call.result()["id"] for call in calls}
    assert len(ids) == 1
    assert moved(stack, paid) == [700]


def test_an_sdk_repeats_a_409_of_a_busy_payment(
    stack: RunningStack, new_sdk: Callable[..., Sdk], paid: DemoPayment, proxy: TlsProxy
) -> None:
    # Given a refund that HitPay made, and whose answer was lost
    stack.control.add_fault("hitpay", "refund.create", "commit_then_reset", match=paid.charge_id)
    first = new_sdk().create(own_key(), payment_intent=intent(paid), amount=100)
    assert first["status"] == "pending"
    with ThreadPoolExecutor(1) as pool:
        # When another one of the payment is asked for, and told to repeat
        again = new_sdk(retries=10)
        second = pool.submit(again.create, own_key(), payment_intent=intent(paid), amount=200)
        wait_for(
            lambda: [call for call in proxy.calls if call.answer.status == 409],
            "the payment is busy",
            at_most=30,
        )
        # And then the first one is looked up
        api = RefundApiClient(stack.api_url, stack.api_key)
        read = api.request("GET", f"/v1/refunds/{first['id']}?sync=true")
        assert (read.status, read.body["status"]) == (200, "succeeded"), read.text
        # Then the SDK repeats until it is its turn
        assert second.result()["status"] == "succeeded"
    assert sorted(moved(stack, paid)) == [100, 200]


def test_an_sdk_that_times_out_repeats_and_is_answered(
    stack: RunningStack, new_sdk: Callable[..., Sdk], paid: DemoPayment
) -> None:
    # Given a HitPay that takes longer than the caller has patience
    stack.control.add_fault("hitpay", "refund.create", "delay", match=paid.charge_id, seconds=6)
    refund = new_sdk(retries=4, timeout_s=4).create(
        own_key(), payment_intent=intent(paid), amount=300
    )
    assert refund["status"] == "succeeded"
    assert moved(stack, paid) == [300]


def test_an_address_with_a_path_in_front_works_in_python(
    stack: RunningStack, paid: DemoPayment, watch: Watch
) -> None:
    address, _, path = stack.api_url.partition("/restapis")
    with TlsProxy(address, watch) as proxy:
        sdk = PythonSdk(proxy.port, stack.api_key, path=f"/restapis{path}")
        # The document knows paths below the stage alone
        refund = sdk.create(own_key(), payment_intent=intent(paid), amount=1)
    watch.taken()
    assert refund["status"] == "succeeded"


# --- what PHP's wrote -----------------------------------------------------------------------------


def sent(stack: RunningStack, watch: Watch, recorded: Recorded) -> Answer:
    """The answer to these bytes; nothing but address, keys and ids differs from what PHP wrote.

    Keys of orders are this test's own: the documented event, which others send, has one of them.
    """
    address = urlsplit(stack.api_url)
    raw = recorded.sent_to(address.netloc, address.path, stack.api_key)
    raw = raw.replace(b"Idempotency-Key: order-", b"Idempotency-Key: php-order-")
    with socket.create_connection((address.hostname, address.port), timeout=60) as wire:
        wire.sendall(raw)
        response = HTTPResponse(wire)
        response.begin()
        text = response.read().decode()
    answer = Answer(response.status, dict(response.getheaders()), json.loads(text), text)
    event = recorded.event
    path = raw.split(b" ", 2)[1].decode().removeprefix(address.path)
    watch(Exchange(event["httpMethod"], path, event["headers"], recorded.body.encode(), answer))
    return answer


def test_what_phps_sdk_wrote_refunds_reads_lists_and_cancels(
    stack: RunningStack, watch: Watch
) -> None:
    # Given the payments that its calls name
    made = {
        name: DemoPayment(f"php_{name}", 9999, has_intent=True)
        for name in ("part", "list", "scheduled", "lost")
    }
    stack.control.seed(seed_of(*made.values()))

    def told(name: str, *, about: str | None = None) -> Answer:
        """The answer; ``about`` names the call whose refund has another id here."""
        recorded = Recorded.of_php(name)
        if about is not None:
            key = str(Recorded.of_php(about).idempotency_key)
            recorded = recorded.about(refund_id_of(key, RECORDED_STAGE), ids[about])
        answer = sent(stack, watch, recorded)
        ids[name] = str(answer.body.get("id", answer.text))
        return answer

    ids: dict[str, str] = {}

    # When a part is refunded and read again
    part = told("create_part")
    read = told("retrieve", about="create_part")
    # Then amount, reason and metadata came through
    assert (part.status, read.status, read.body["id"]) == (201, 200, part.body["id"])
    assert (read.body["amount"], read.body["reason"]) == (2500, "requested_by_customer")
    metadata = {"order": "1007", "Größe & Farbe": "a+b = [100 %] ü", "note": ""}
    assert read.body["metadata"] == metadata
    assert moved(stack, made["part"]) == [2500]
    # And a list is walked by its pages
    for number in range(1, 5):
        told(f"create_listed_{number}")
    pages = told("list"), told("list_next_page", about="create_listed_2")
    assert [[one["amount"] for one in page.body["data"]] for page in pages] == [[4, 3, 2], [1]]
    assert [page.body["has_more"] for page in pages] == [True, False]
    # And a scheduled refund is taken back
    due = told("create_scheduled")
    canceled = told("cancel", about="create_scheduled")
    assert (due.status, canceled.status, canceled.body["status"]) == (202, 200, "canceled")
    # And a call that libcurl sent again by itself is one refund
    told("create_closed_1")
    assert told("create_closed_2").body["id"] == ids["create_closed_1"]
    assert moved(stack, made["lost"]) == [200]
    # And an amount that is none is refused by its name
    refused_one = told("create_bad_amount")
    assert (refused_one.status, refused_one.body["error"]["type"]) == (400, "invalid_request_error")
    assert refused_one.body["error"]["param"] == "amount"


def _header(headers: Any, name: str) -> str | None:
    return next((text for key, text in headers.items() if key.lower() == name), None)
