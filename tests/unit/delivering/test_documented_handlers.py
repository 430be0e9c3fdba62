"""The handlers of docs/webhooks-out.md, as they stand there, on events as they are sent."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest

from deployed import paths
from refund_bridge.delivering.address import SigningSecret, WebhookAddress
from refund_bridge.delivering.event import event_body, lines_of
from refund_bridge.delivering.signature import signature_of
from tests.fakes.world import World
from tests.sdks.clients import NODE_ENVIRONMENT, has_node, install_node_sdk, node_program

PAGE = paths.ROOT / "docs" / "webhooks-out.md"
SECRET = "whsec_" + "a1" * 32
TO = WebhookAddress(
    id="we_00000000000000aa",
    url="https://shop.example.com/",
    secrets=(SigningSecret(SECRET),),
)
# Reads requests from stdin and says what the page's handler answered, and what it has kept.
DRIVER = """
const stripe = require("stripe")("sk_test_unused");
%s
const seen = new Map();
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
const answers = asked.map(([body, signature, secret]) => handle(body, signature, secret, seen));
console.log(JSON.stringify([answers, [...seen.values()]]));
"""

Requests = list[tuple[str, str, str]]
Handler = Callable[[Requests], tuple[list[int], list[list[str]]]]


def block(language: str) -> str:
    """The page's only block of that language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return str(found)


def in_python(requests: Requests) -> tuple[list[int], list[list[str]]]:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102 - our own page
    seen: dict[str, tuple[str, str]] = {}
    answers = [names["handle"](body.encode(), *rest, seen) for body, *rest in requests]
    return answers, [list(one) for one in seen.values()]


def in_node(requests: Requests) -> tuple[list[int], list[list[str]]]:
    if not has_node():
        pytest.skip("this machine has no Node, so that its handler was not run")
    install_node_sdk()
    told = subprocess.run(  # noqa: S603 - this machine's own Node
        [node_program(), "-e", DRIVER % block("js")],
        input=json.dumps(requests),
        env={"PATH": os.environ["PATH"], "NODE_PATH": str(NODE_ENVIRONMENT / "node_modules")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    answers, seen = json.loads(told.stdout)
    return answers, seen


@pytest.fixture(params=[in_python, in_node])
def handler(request: pytest.FixtureRequest) -> Handler:
    handler: Handler = request.param
    return handler


@pytest.fixture
def event() -> str:
    world = World()
    world.pay()
    refund = world.refund("order-1", amount=2500, metadata={"note": "für 5 €"}).refund
    (line,) = lines_of(refund, None, after_sequence=0)
    return event_body(line, TO, livemode=False).decode()


def signed(body: str, secret: str = SECRET, *, age_s: int = 0) -> str:
    return signature_of(body.encode(), [secret], at_s=int(time.time()) - age_s)


def test_an_event_is_taken_once_however_often_it_comes(handler: Handler, event: str) -> None:
    refund_id = json.loads(event)["data"]["object"]["id"]
    answers, seen = handler([(event, signed(event), SECRET)] * 2)
    assert answers == [200, 200]
    assert seen == [[refund_id, "succeeded"]]


def test_what_is_not_signed_with_the_secret_is_refused(handler: Handler, event: str) -> None:
    other = "whsec_" + "b2" * 32
    answers, seen = handler(
        [
            (event, signed(event, other), SECRET),
            (event + " ", signed(event), SECRET),
            (event, signed(event, age_s=3600), SECRET),
            (event, "", SECRET),
        ]
    )
    assert answers == [400] * 4
    assert seen == []


def test_while_secrets_change_either_is_enough(handler: Handler, event: str) -> None:
    new = "whsec_" + "b2" * 32
    both = signature_of(event.encode(), [SECRET, new], at_s=int(time.time()))
    answers, seen = handler([(event, both, SECRET), (event, both, new)])
    assert answers == [200, 200]
    assert len(seen) == 1
