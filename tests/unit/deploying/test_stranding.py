"""A deployment does not take away the account that open refunds were sent to."""

from dataclasses import replace
from typing import Any

import pytest

from deployed.stages import Stage
from deploying.stranding import StrandingError, accounts_of, refuse_stranding, stranded
from refund_bridge.domain.refund import Refund
from refund_bridge.domain.state_machine import State
from refundctl import walk
from tests.fakes.processor_fates import RequestLost
from tests.fakes.world import World
from tests.unit.local.cloud import FakeClients, raising, refused

HERE = {"Mode": "test", "HitPayUrl": "https://one.example"}
THERE = HERE | {"HitPayUrl": "https://two.example"}
STAGE = Stage("test", "refund-bridge-test", "ap-southeast-1", THERE)


@pytest.fixture
def lost() -> Refund:
    """An instruction whose answer was lost."""
    world = World()
    world.pay()
    world.processor.fates.append(RequestLost())
    refund = world.refund("k", amount=2500).refund
    return replace(refund, account=accounts_of(HERE)["hitpay"])


def deployed(parameters: dict[str, str]) -> FakeClients:
    """The stack with these parameters."""
    stack = {
        "Outputs": [{"OutputKey": "LedgerTable", "OutputValue": "ledger"}],
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()
        ],
    }
    return FakeClients(
        cloudformation={"describe_stacks": lambda **_: {"Stacks": [stack]}}, dynamodb={}
    )


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ({"HitPayUrl": "https://two.example"}, "hitpay"),
        ({"HyperswitchRefundIdMax": "30"}, "hyperswitch"),
        ({"CcgMerchantId": "m2"}, "ccg"),
        ({"CcgUpstreamEnv": "uat"}, "ccg"),
    ],
)
def test_each_setting_that_tells_accounts_apart_is_seen(more: dict[str, str], name: str) -> None:
    whole = HERE | {
        "HyperswitchUrl": "https://h.example",
        "HyperswitchRefundIdMax": "64",
        "CcgUrl": "https://c.example",
        "CcgMerchantId": "m1",
        "CcgUpstreamEnv": "sit",
        "CcgAmountUnit": "minor",
    }
    before, after = accounts_of(whole), accounts_of(whole | more)
    assert [one for one in before if before[one] != after[one]] == [name]


@pytest.mark.parametrize("state", State)
def test_only_open_refunds_are_stranded(lost: Refund, state: State) -> None:
    here, there = accounts_of(HERE), accounts_of(THERE)
    is_open = state in {
        State.REQUESTED,
        State.SUBMITTING,
        State.UNKNOWN,
        State.PENDING,
        State.REVIEW,
    }
    one = replace(lost, state=state)
    assert stranded([one], here, there) == ([one] if is_open else [])
    assert stranded([replace(one, account=None)], here, there) == (
        [replace(one, account=None)] if is_open else []
    )
    assert stranded([one], here, here) == []
    # Nor is it stranded by going back to where it was sent
    assert stranded([one], there, here) == []


def test_a_processor_that_is_taken_out_strands_too(lost: Refund) -> None:
    assert stranded([lost], accounts_of(HERE), {}) == [lost]


def test_a_deployment_that_would_strand_is_refused(
    lost: Refund, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "open_refunds", lambda *_: [lost])
    with pytest.raises(StrandingError, match=f"account of hitpay.*{lost.id}"):
        refuse_stranding(deployed(HERE), STAGE)
    # With the settings that are deployed the ledger is not even read
    monkeypatch.setattr(walk, "open_refunds", raising(AssertionError()))
    assert _passes(deployed(THERE))


def test_with_nothing_open_the_account_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "open_refunds", lambda *_: [])
    assert _passes(deployed(HERE))


def test_a_first_deployment_strands_nothing() -> None:
    none: dict[str, Any] = {
        "describe_stacks": raising(refused("ValidationError", "Stack does not exist"))
    }
    assert _passes(FakeClients(cloudformation=none))


def test_settings_that_cannot_be_read_are_said() -> None:
    with pytest.raises(StrandingError, match="HITPAY_URL"):
        accounts_of({"Mode": "live", "HitPayUrl": "http://plain.example"})


def _passes(clients: FakeClients) -> bool:
    refuse_stranding(clients, STAGE)
    return True
