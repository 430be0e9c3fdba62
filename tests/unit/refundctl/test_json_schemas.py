"""What `doctor` and `review` give to machines is what their documented schemas say."""

import json
from typing import Any

import jsonschema_rs
import pytest

from deployed import paths
from deployed.command_lines import spelt
from refundctl import doctor
from refundctl.checks.finding import fail, fine, warn
from refundctl.options import Call
from tests.fakes.processor_fates import ReplyLost
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator


def schema_of(command: str) -> jsonschema_rs.Draft202012Validator:
    """The documented schema of a command's result; one that is no schema is refused."""
    file = paths.ROOT / "docs" / "schemas" / f"refundctl-{command}.json"
    schema = json.loads(file.read_text())
    return jsonschema_rs.Draft202012Validator(schema)


def test_reviews_are_as_documented(world: World, operator: Operator) -> None:
    # Given a review with two processor refunds that can be its own, and none
    assert operator.json("review") == []
    world.processor.fates.append(ReplyLost())
    world.refund("k", amount=100)
    world.processor.refund_in_dashboard("charge-1", 100)
    world.settle_due()
    (one,) = told = operator.json("review")
    assert len(one["candidates"]) == 2
    schema_of("review").validate(told)
    # And where nobody gives an answer
    world.processor.is_down = True
    silent = operator.json("review")
    assert silent[0]["charge"] is None
    schema_of("review").validate(silent)


def test_findings_are_as_documented(monkeypatch: pytest.MonkeyPatch, operator: Operator) -> None:
    def check(_: Call) -> Any:
        yield fine("ledger", "is active")
        yield warn("queue: reports", "there are 5000", "See why.", spelt("dlq", "list"))
        yield fail(
            "taken back", "the processor took 1 back", "Pay otherwise.", spelt("show", "rfd_1")
        )

    monkeypatch.setattr(doctor, "CHECKS", (("all", check),))
    told = operator("doctor --json").value
    assert [one["level"] for one in told["findings"]] == ["ok", "warn", "fail"]
    schema_of("doctor").validate(told)
    with pytest.raises(jsonschema_rs.ValidationError):
        schema_of("doctor").validate(told | {"level": "bad"})
    renamed = [told["findings"][0] | {"check": "the ledger"}]
    with pytest.raises(jsonschema_rs.ValidationError):
        schema_of("doctor").validate(told | {"findings": renamed})
