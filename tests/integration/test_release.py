"""`make deploy`, all of it, with the real SAM CLI and the sandbox's template, into an empty cloud.

It differs from the checked-in sandbox only in the runtime and the architecture, which are this
machine's, and in the event sources, which are refused as they are checked in.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from deployed import paths
from deployed.clients import CloudClients
from deployed.live import LiveStack
from deployed.polling import wait_for
from deployed.secrets import HITPAY_API_KEY, STRIPE_SECRET_KEY, SecretStore
from deployed.stages import Stage, load_stage
from deploying import questions, release
from deploying.build import this_machine
from deploying.kept_ledger import FOR_GOOD
from deploying.questions import UnansweredError
from deploying.template_yaml import read_template
from local.emulator import running_emulator
from local.run_directory import run_directory

ITEM = {"pk": {"S": "refund#rfd_kept"}, "sk": {"S": "refund"}, "amount": {"N": "2500"}}


@dataclass(frozen=True)
class Account:
    """An empty account, and the stage that is deployed to it."""

    clients: CloudClients
    stage: Stage

    def table(self) -> dict[str, Any]:
        described: dict[str, Any] = self.clients.client("dynamodb").describe_table(
            TableName=f"{self.stage.stack_name}-ledger"
        )["Table"]
        return described

    def keys(self) -> list[str]:
        found = self.clients.client("ssm").get_parameters_by_path(
            Path=f"{self.stage.secrets_prefix}/api-keys"
        )
        return [parameter["Name"].rpartition("/")[2] for parameter in found["Parameters"]]


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    stage, here = load_stage("sandbox"), this_machine()
    local = {
        "Runtime": here.runtime,
        "Architecture": here.architecture,
        "RefundRequestSources": "com.shop.orders",
    }
    with run_directory() as directory, running_emulator(directory) as emulator:
        yield Account(
            emulator.clients(),
            replace(stage, parameters=stage.parameters | local),
        )


@pytest.fixture(autouse=True)
def nobody_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build is that of the other tests, and there is no person at the terminal."""
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("deploying.build.aws", lambda _stage: this_machine())


def test_what_is_missing_is_named_before_anything_is_built(account: Account) -> None:
    with pytest.raises(UnansweredError, match=r"com\.example\.orders"):
        release.release(load_stage("sandbox"), account.clients)
    with pytest.raises(UnansweredError, match="/refund-bridge/sandbox/stripe-secret-key"):
        release.release(account.stage, account.clients)
    stacks = account.clients.client("cloudformation").describe_stacks()["Stacks"]
    assert stacks == []


def test_a_first_release_and_an_upgrade(
    account: Account, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given the providers' keys
    store = SecretStore(account.clients.client("ssm"), account.stage.secrets_prefix)
    store.put(STRIPE_SECRET_KEY, "sk_test_made_up")
    store.put(HITPAY_API_KEY, "made-up")
    # When it is deployed
    release.release(account.stage, account.clients)
    # Then every function is live and was seen to work
    live = LiveStack(account.clients, account.stage.stack_name)
    functions = live.functions()
    assert len(functions) == 8
    told = capfd.readouterr().out
    assert told.count("live is version 1") == len(functions)
    for line in ("GET /v1/refunds answers with a list", "schedules are enabled", "functions run"):
        assert line in told
    # And no key was made where nobody sees it, and the one of the smoke test is gone
    assert "No caller has a key yet" in told
    assert account.keys() == []
    # Given a refund in the ledger
    before = account.table()
    dynamodb = account.clients.client("dynamodb")
    dynamodb.put_item(TableName=before["TableName"], Item=ITEM)
    # When a setting is changed and it is deployed again
    changed = replace(account.stage, parameters=account.stage.parameters | {"LogLevel": "WARNING"})
    release.release(changed, account.clients)
    # Then every function is of a new version, also those whose code is as it was
    assert capfd.readouterr().out.count("live is version 2") == len(functions)
    # And the ledger is the same table, with all that was in it
    after = account.table()
    assert (after["TableArn"], after["CreationDateTime"], after["TableId"]) == (
        before["TableArn"],
        before["CreationDateTime"],
        before["TableId"],
    )
    key = {name: ITEM[name] for name in ("pk", "sk")}
    assert dynamodb.get_item(TableName=after["TableName"], Key=key)["Item"] == ITEM
    assert account.keys() == []


def test_an_alias_that_stayed_on_the_old_version_is_noticed(account: Account) -> None:
    functions = account.clients.client("lambda")
    live = LiveStack(account.clients, account.stage.stack_name)
    name = next(one for one in live.functions() if one.endswith("report-refund"))
    assert live.behind(name) == []
    functions.update_alias(FunctionName=name, Name="live", FunctionVersion="1")
    assert "Environment" in live.behind(name)
    functions.update_alias(
        FunctionName=name,
        Name="live",
        FunctionVersion="2",
        RoutingConfig={"AdditionalVersionWeights": {"1": 0.5}},
    )
    (told,) = live.behind(name)
    assert "shared" in told


def test_a_ledger_that_outlived_its_stack_is_taken_back(
    account: Account, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    # Given a ledger whose stack was deleted
    cloudformation, dynamodb = (account.clients.client(s) for s in ("cloudformation", "dynamodb"))
    name = f"{account.stage.stack_name}-ledger"
    cloudformation.update_termination_protection(
        EnableTerminationProtection=False, StackName=account.stage.stack_name
    )
    cloudformation.delete_stack(StackName=account.stage.stack_name)
    wait_for(lambda: not has_stack(account), "the stack's end", at_most=60)
    if name not in dynamodb.list_tables()["TableNames"]:  # the embedded cloud keeps none
        declared = read_template(paths.TEMPLATE)["Resources"]["Ledger"]["Properties"]
        parts = {part: declared[part] for part in (*FOR_GOOD, "BillingMode")}
        dynamodb.create_table(TableName=name, **parts)
        dynamodb.put_item(TableName=name, Item=ITEM)
    # When it is deployed again with nobody there, then it is refused
    with pytest.raises(UnansweredError, match=f"{name}, which must be joined to it"):
        release.release(account.stage, account.clients)
    # And when somebody agrees, it is the new stack's ledger, with all that was in it
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("builtins.input", lambda _: name)
    monkeypatch.setattr(questions, "getpass", lambda _: "")
    release.release(account.stage, account.clients)
    assert f"Joining {name} to the stack" in capfd.readouterr().out
    table = account.table()
    assert table["DeletionProtectionEnabled"]
    assert table["StreamSpecification"]["StreamEnabled"]
    key = {part: ITEM[part] for part in ("pk", "sk")}
    assert dynamodb.get_item(TableName=name, Key=key)["Item"] == ITEM
    # And it is read by the stack's own stream
    (mapping,) = [
        one
        for one in account.clients.client("lambda").list_event_source_mappings()[
            "EventSourceMappings"
        ]
        if "/stream/" in one["EventSourceArn"]
    ]
    assert mapping["EventSourceArn"] == table["LatestStreamArn"]


class Terminal(io.StringIO):
    """A terminal with a person."""

    def isatty(self) -> bool:
        return True


def has_stack(account: Account) -> bool:
    stacks = account.clients.client("cloudformation").describe_stacks()["Stacks"]
    return account.stage.stack_name in [stack["StackName"] for stack in stacks]
