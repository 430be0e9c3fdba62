"""One event is posted: what goes with it, and what is not sent at all."""

from refund_bridge.delivering.address import SigningSecret, WebhookAddress
from refund_bridge.delivering.event import BODY_BYTES_MAX
from refund_bridge.delivering.post import NotTaken, PostEvent
from tests.fakes.virtual_clock import VirtualClock
from tests.fakes.webhooks import FakeMerchant

TO = WebhookAddress(
    id="we_00000000000000aa",
    url="https://shop.example.com/hooks",
    secrets=(SigningSecret("whsec_" + "a" * 40),),
)


def posted(merchant: FakeMerchant, body: bytes) -> NotTaken | None:
    clock = VirtualClock()
    post = PostEvent(sender=merchant, clock=clock, local=False)
    return post(TO, body, clock.deadline(45_000))


def test_a_user_agent_says_who_sends_it() -> None:
    # When an event is posted
    merchant = FakeMerchant()
    assert posted(merchant, b"{}") is None
    # Then its headers say who we are, and that it is JSON
    (post,) = merchant.posts
    assert post.headers["User-Agent"] == "RefundBridge-Webhooks/1"
    assert post.headers["Content-Type"] == "application/json; charset=utf-8"


def test_an_event_of_256_kb_is_sent_and_a_larger_one_is_not() -> None:
    # Given an event that is as large as it may be, and one that is a byte larger
    merchant = FakeMerchant()
    largest = b"x" * BODY_BYTES_MAX
    assert len(largest) == 256 * 1024
    # When both are posted
    assert posted(merchant, largest) is None
    refused = posted(merchant, largest + b"x")
    # Then the larger one went nowhere, and it is said why
    assert refused == NotTaken("the event is larger than 256 KB")
    assert [len(post.body) for post in merchant.posts] == [len(largest)]
