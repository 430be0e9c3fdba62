"""`.local/stack.json`: how other tools find the stack that runs."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from deployed.clients import AccessKey, CloudClients
from deployed.stages import load_stage
from local.emulator import Emulator
from local.providers import Providers
from local.stack import RunningStack, announced

KEY = AccessKey("AKIA1", "its-secret")


def running(api_url: str, port: int = 4566) -> RunningStack:
    process: Any = None
    return RunningStack(
        stage=load_stage("local"),
        emulator=Emulator(port, process, KEY),
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


def test_of_two_stacks_each_has_a_file_and_the_newer_is_told_of(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"

    def told() -> str:
        return str(json.loads(file.read_text())["api_url"])

    def beside() -> set[str]:
        files = (tmp_path / "stacks").glob("*.json")
        return {json.loads(one.read_text())["api_url"] for one in files}

    # Given a stack, and a second one in the same folder
    with announced(running("http://older"), file):
        with announced(running("http://newer", port=4567), file):
            # Then each can be reached by its own file, and the newer one by default
            assert (told(), beside()) == ("http://newer", {"http://older", "http://newer"})
        # And when that ends, the older one is told of again
        assert (told(), beside()) == ("http://older", {"http://older"})
    assert not file.exists()
    assert beside() == set()


def test_an_older_one_that_ends_first_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    older = announced(running("http://older"), file)
    older.__enter__()
    with announced(running("http://newer", port=4567), file):
        older.__exit__(None, None, None)
        assert json.loads(file.read_text())["api_url"] == "http://newer"
    assert not file.exists()


def test_one_that_was_killed_is_not_told_of(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    with announced(running("http://living"), file):
        # Given the file of a stack whose process is gone
        ended = subprocess.Popen([sys.executable, "-c", ""])
        ended.wait()
        dead = tmp_path / "stacks" / "dead.json"
        dead.write_text(json.dumps({"pid": ended.pid, "api_url": "http://dead"}))
    # Then nothing is told of when the living one ends
    assert not file.exists()
    assert not dead.exists()
