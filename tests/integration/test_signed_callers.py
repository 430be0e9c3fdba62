"""`ApiAuth` AWS_IAM: the gateway checks signatures, and policies say what their owners may do.

The embedded cloud answers refusals in its own words; in the contract's they are rendered from the
template (`tests/template/test_gateway.py`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.simulators.payments import fresh_payments, seed_of
from local.stack import RunningStack, running_stack
from tests.integration.background import ledger_refund

READS = ("GET/v1/refunds", "GET/v1/refunds/*", "GET/v1/payments/*")
WRITES = ("POST/v1/refunds",)


@dataclass(frozen=True)
class SignedCaller:
    """An IAM user of the account."""

    stack: RunningStack
    credentials: Credentials | None

    def call(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> urllib3.BaseHTTPResponse:
        """Send a request, signed if there is anything to sign with."""
        url = self.stack.api_url + path
        data = None if body is None else json.dumps(body).encode()
        headers["Content-Type"] = "application/json"
        request = AWSRequest(method, url, data=data, headers=headers)
        if self.credentials is not None:
            SigV4Auth(self.credentials, "execute-api", self.stage_region).add_auth(request)
        return urllib3.request(
            method, url, body=data, headers=dict(request.headers), retries=False, timeout=60
        )

    @property
    def stage_region(self) -> str:
        return self.stack.stage.region


@pytest.fixture(scope="module")
def signing_stack() -> Iterator[RunningStack]:
    """A system whose callers sign."""
    with running_stack(parameters={"ApiAuth": "AWS_IAM", "SettleSeconds": "60"}) as running:
        yield running


def user(stack: RunningStack, name: str, *allowed: str) -> SignedCaller:
    """A user with the policies that docs/callers.md gives as examples."""
    iam = stack.client("iam")
    iam.create_user(UserName=name)
    where = f"arn:aws:execute-api:{stack.stage.region}:*:{stack.outputs['RestApiId']}"
    statement = {
        "Effect": "Allow",
        "Action": "execute-api:Invoke",
        "Resource": [f"{where}/{stack.stage.parameters['Stage']}/{route}" for route in allowed],
    }
    if allowed:
        iam.put_user_policy(
            UserName=name,
            PolicyName="refunds",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return SignedCaller(stack, Credentials(key["AccessKeyId"], key["SecretAccessKey"]))


def test_a_policy_says_who_may_refund_and_the_history_says_who_did(
    signing_stack: RunningStack,
) -> None:
    # Given a payment, somebody who may do everything and somebody who may read
    (payment,) = fresh_payments(1, prefix="signed")
    signing_stack.control.seed(seed_of(payment))
    shop = user(signing_stack, "shop", *READS, *WRITES)
    desk = user(signing_stack, "desk", *READS)
    asked = {"payment_record": payment.record_id, "amount": 100, "refund_id": "signed-1"}
    # When both ask for a refund
    refused = desk.call("POST", "/v1/refunds", asked)
    made = shop.call("POST", "/v1/refunds", asked)
    # Then one gets it, and the other may see it
    assert (refused.status, made.status) == (403, 201), made.data
    refund = made.json()
    assert desk.call("GET", f"/v1/refunds/{refund['id']}").json()["id"] == refund["id"]
    # And the history names the one who signed
    (first, *_) = ledger_refund(signing_stack, refund["id"])["history"]
    assert first["actor"].startswith("iam:arn:aws:iam::")
    assert first["actor"].endswith(":user/shop")


def test_nobody_else_is_let_in(signing_stack: RunningStack) -> None:
    stranger = user(signing_stack, "stranger")
    assert stranger.credentials is not None
    forger = SignedCaller(signing_stack, Credentials(stranger.credentials.access_key, "guessed"))
    unsigned = SignedCaller(signing_stack, None)
    for caller in (stranger, forger, unsigned):
        assert caller.call("GET", "/v1/refunds/rfd_x").status == 403
    # A bearer key is worth nothing here, nor is who somebody says to be
    key = {"Authorization": f"Bearer {signing_stack.api_key}", "userArn": "arn:aws:iam::1:user/x"}
    assert unsigned.call("GET", "/v1/refunds/rfd_x", **key).status == 403


def test_what_is_open_to_everybody_is_open_unsigned(signing_stack: RunningStack) -> None:
    anybody = SignedCaller(signing_stack, None)
    assert anybody.call("GET", "/health").json() == {"status": "ok"}
    assert anybody.call("GET", "/v1/openapi.json").json()["openapi"].startswith("3.1")
