"""The names that `doctor` gives its checks are those of its schema: people page by them."""

import inspect
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import ModuleType, SimpleNamespace
from typing import Any, get_type_hints

import pytest

from deployed import paths
from deployed.secrets import NAMES
from refund_bridge.adapters.http.messages import HttpAnswer
from refund_bridge.config import Mode
from refund_bridge.delivering.ports import Status
from refund_bridge.domain.report import CreditNote
from refund_bridge.domain.state_machine import CreditNoteState, ReportState
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY
from refundctl import doctor
from refundctl.checks import ledger, providers, queues, release, secrets, webhooks
from refundctl.checks.finding import Finding
from refundctl.dlq import QUEUES
from tests.contract.ledger.examples import a_refund
from tests.unit.refundctl.operator import Operator

MODULES = (ledger, providers, queues, release, secrets, webhooks)
# An address, a function: what a deployment calls its own.
OWN = "we_1"
TITLES = [REGISTRY[name].title for name in OF_RECORDS]
PROBES = (
    *(providers.Probe(title, lambda *_: None, (200,)) for title in TITLES),
    providers.stripe_probe("https://stripe", "key"),
    providers.stripe_right_to_report("https://stripe", "key"),
    providers.stripe_right_to_refund("https://stripe", "key"),
)
TOLD = HttpAnswer(200, {}, b"")


def an_address() -> Any:
    state = SimpleNamespace(
        id=OWN, status=Status.ENABLED, is_closed=lambda _: False, delivered=1, last_error=None
    )
    return SimpleNamespace(state=state, owed=0, oldest_owed_ms=None)


def asked_to_try(taken: bool) -> Any:
    target = SimpleNamespace(
        stack=SimpleNamespace(outputs={"DeliverWebhooksFunctionName": "f"}),
        invoke=lambda *_: {"taken": taken, "took_ms": 1},
    )
    return SimpleNamespace(target=target)


def given_up() -> Iterable[Finding]:
    one = a_refund()
    report = replace(one.report, state=ReportState.FAILED)
    note = CreditNote(state=CreditNoteState.FAILED)
    return ledger.given_up([replace(one, report=report, credit_note=note)], "of the newest")


def processors_modes() -> Iterator[Finding]:
    yield from secrets.processors_modes({"Mode": "test"})
    urls = ("HitPayUrl", "HyperswitchUrl", "HedgeUrl", "CcgUrl")
    given = {"Mode": "test", "StripePayments": "on", "StripeUrl": "http://s"}
    yield from secrets.processors_modes(given | dict.fromkeys(urls, "http://p"))


# Every function of the checks that makes findings, called so that it gives all of its names.
MADE: dict[Callable[..., object], Callable[[], Iterable[Finding]]] = {
    ledger.status: lambda: [ledger.status({"TableStatus": one}) for one in ("ACTIVE", "GONE")],
    ledger.protection: lambda: [ledger.protection(on, is_local=False) for on in (True, False)],
    ledger.recovery: lambda: [ledger.recovery(on, is_local=False) for on in (True, False)],
    ledger.waiting: lambda: ledger.waiting([], 0),
    ledger.taken_back: lambda: [ledger.taken_back([])],
    ledger.given_up: given_up,
    providers.ask: lambda: [],  # answered by the two below it
    providers.reachable: lambda: [providers.reachable(one, TOLD) for one in PROBES],
    providers.unreachable: lambda: [providers.unreachable(one.provider, "x") for one in PROBES],
    providers.clocks: lambda: [providers.clocks(one, None, 0) for one in (*TITLES, "Stripe")],
    queues.dead_letters: lambda: [queues.dead_letters(name, 0) for name in QUEUES],
    queues.waiting: lambda: [queues.waiting(n, 0) for n, (_, alive) in QUEUES.items() if alive],
    queues.paused: lambda: [queues.paused()],
    queues.listeners: lambda: queues.listeners({"f": "Enabled", "g": "Disabled"}),
    queues.schedules: lambda: [queues.schedules({}), queues.schedules({"settle": "DISABLED"})],
    queues.alarms: lambda: [queues.alarms(0, []), queues.alarms(1, []), queues.alarms(1, ["a"])],
    release.same_version: lambda: [release.same_version("f", "1", one) for one in ([], ["x"])],
    release.awake: lambda: [release.awake("f", state) for state in ("Active", "Failed", "Other")],
    release.concurrency: lambda: [release.concurrency(1000, free) for free in (0, 50, 900)],
    release.gateway_role: lambda: [release.gateway_role("", wanted=one) for one in (True, False)],
    secrets.present: lambda: [secrets.present(name, None) for name in NAMES],
    secrets.salts: lambda: [secrets.salts("short"), secrets.salts("a" * 40)],
    secrets.stripe_mode: lambda: [secrets.stripe_mode("sk_test_x", mode) for mode in Mode],
    secrets.processors_modes: processors_modes,
    secrets.callers: lambda: [secrets.callers(["shop"], []), secrets.callers([], [])],
    webhooks.missing: lambda: [webhooks.missing(an_address())],
    webhooks.at_work: lambda: [webhooks.at_work(an_address(), 0)],
    webhooks.tried: lambda: [webhooks.tried(asked_to_try(one), OWN) for one in (True, False)],
}


def makers(module: ModuleType) -> Iterator[Callable[..., object]]:
    """The functions of a subject that make findings out of what they are given."""
    for name, one in inspect.getmembers(module, inspect.isfunction):
        if one.__module__ != module.__name__ or name.startswith("_") or name == "check":
            continue
        if get_type_hints(one, vars(module))["return"] in (Finding, Iterator[Finding]):
            yield one


def documented() -> tuple[set[str], list[str]]:
    """The names of the schema, and the patterns of those in which a deployment's own name is."""
    file = paths.ROOT / "docs" / "schemas" / "refundctl-doctor.json"
    findings = json.loads(file.read_text())["properties"]["findings"]["items"]["properties"]
    fixed, *own = findings["check"]["anyOf"]
    return set(fixed["enum"]), [one["pattern"] for one in own]


def test_every_maker_of_findings_is_called_here() -> None:
    assert {one for module in MODULES for one in makers(module)} == set(MADE)
    assert [check for _, check in doctor.CHECKS] == [
        module.check for module in (secrets, providers, queues, ledger, webhooks, release)
    ]


def test_the_schema_names_every_check_and_no_other(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    fixed, patterns = documented()
    # Given the names of all that can be found, of the subjects, and of what a set-up prevents
    subjects = {name for name, _ in doctor.CHECKS}
    operator.parameters = {"Mode": "test"}
    operator.clients["ssm"] = None
    monkeypatch.setattr(doctor, "CHECKS", (("providers", providers.check),))
    prevented = {one["check"] for one in operator("doctor --json").value["findings"]}
    assert prevented == {"providers with these keys"}
    names = {found.check for made in MADE.values() for found in made()} | subjects | prevented
    # Then those with a deployment's own name in them fit one pattern each, and each is needed
    own = {name: [one for one in patterns if re.search(one, name)] for name in names - fixed}
    assert [name for name, fitting in own.items() if len(fitting) != 1] == []
    assert {one for (one,) in own.values()} == set(patterns)
    # And all others are exactly those that the schema has
    assert names - set(own) == fixed
