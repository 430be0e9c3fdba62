"""`.local/stack.json`: how other tools find the stack that runs."""

import json
from pathlib import Path
from typing import Any

from local.clients import AccessKey, CloudClients
from local.emulator import Emulator
from local.providers import Providers
from local.stack import RunningStack, announced
from local.stages import load_stage

KEY = AccessKey("AKIA1", "its-secret")


def running(api_url: str) -> RunningStack:
    process: Any = None
    return RunningStack(
        stage=load_stage("local"),
        emulator=Emulator(4566, process, KEY),
        clients=CloudClients("ap-southeast-1", "http://127.0.0.1:4566", KEY),
        providers=Providers(
            hitpay_url="h",
            stripe_url="s",
            hitpay_key="hk",
            stripe_key="sk",
            others={"HedgeUrl": "g", "HedgeOtherDecimals": "minor"},
            other_keys={"hedge-api-key": "gk"},
        ),
        outputs={"LedgerTable": "t"},
        api_url=api_url,
        api_key="rbk_1",
    )


def test_it_tells_how_to_reach_the_stack_and_no_providers_key(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    with announced(running("http://api"), file):
        facts = json.loads(file.read_text())
        assert file.stat().st_mode & 0o077 == 0
    assert facts["api_url"] == "http://api"
    assert facts["api_key"] == "rbk_1"
    assert (facts["stripe_url"], facts["hitpay_url"], facts["hedge_url"]) == ("s", "h", "g")
    assert "ccg_url" not in facts
    assert facts["aws_endpoint_url"] == "http://127.0.0.1:4566"
    assert facts["aws_access_key_id"] == "AKIA1"
    assert facts["aws_secret_access_key"] == "its-secret"
    assert not {"hk", "sk", "gk"} & set(map(str, facts.values()))
    assert not file.exists()


def test_the_newer_of_two_stacks_is_told_of_until_it_ends(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    older = announced(running("http://older"), file)
    older.__enter__()
    with announced(running("http://newer"), file):
        older.__exit__(None, None, None)
        assert json.loads(file.read_text())["api_url"] == "http://newer"
    assert not file.exists()
