"""The keys that the emulator gives to functions are not made of what anybody knows."""

import hashlib
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from local.emulator_keys import give_functions_keys_that_nobody_can_guess, was_issued

FUNCTION = {"FunctionName": "refund_api", "Role": "arn:aws:iam::000000000000:role/refund_api"}


class FakeMiniStack:
    """Its four modules, as far as keys go."""

    def __init__(self) -> None:
        self.sts = SimpleNamespace(_sessions={}, register_session=self._register)
        self.iam = SimpleNamespace(_access_keys=SimpleNamespace(to_dict=dict))
        self.runtime = SimpleNamespace(execution_credentials=self.guessable)
        self.functions = SimpleNamespace(execution_credentials=self.guessable)

    def _register(self, key: str, session: dict[str, str]) -> None:
        self.sts._sessions[key] = session

    def guessable(self, function: dict[str, str]) -> dict[str, str]:
        """As MiniStack makes them: of the function's and the role's names."""
        digest = hashlib.sha256("|".join(function.values()).encode()).hexdigest()
        given = {
            "AWS_ACCESS_KEY_ID": f"ASIA{digest[:16].upper()}",
            "AWS_SECRET_ACCESS_KEY": digest,
            "AWS_SESSION_TOKEN": digest[::-1],
        }
        self._register(
            given["AWS_ACCESS_KEY_ID"],
            {"SecretAccessKey": digest, "SessionToken": digest[::-1], "Role": function["Role"]},
        )
        return given


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch) -> FakeMiniStack:
    fake = FakeMiniStack()
    for name, module in {
        "ministack.services.sts": fake.sts,
        "ministack.services.iam": fake.iam,
        "ministack.core.lambda_runtime": fake.runtime,
        "ministack.services.lambda_svc": fake.functions,
    }.items():
        monkeypatch.setitem(sys.modules, name, module)
    return fake


def test_a_functions_key_cannot_be_computed_from_names(emulator: FakeMiniStack) -> None:
    # Given what anybody can compute
    known = emulator.guessable(FUNCTION)
    # When functions are given their keys
    give_functions_keys_that_nobody_can_guess()
    given: dict[str, Any] = emulator.functions.execution_credentials(FUNCTION)
    # Then each part is another, and the key that could be computed lets nobody in
    assert given.keys() == known.keys()
    assert not set(given.values()) & set(known.values())
    assert not was_issued(known["AWS_ACCESS_KEY_ID"])
    # And the function is who it was, with its own signature
    assert was_issued(given["AWS_ACCESS_KEY_ID"])
    session = emulator.sts._sessions[given["AWS_ACCESS_KEY_ID"]]
    assert session["Role"] == FUNCTION["Role"]
    assert session["SecretAccessKey"] == given["AWS_SECRET_ACCESS_KEY"]
    assert session["SessionToken"] == given["AWS_SESSION_TOKEN"]


def test_another_run_gives_others(emulator: FakeMiniStack) -> None:
    keys = set()
    for _ in range(2):
        emulator.runtime.execution_credentials = emulator.guessable
        give_functions_keys_that_nobody_can_guess()
        keys.add(emulator.runtime.execution_credentials(FUNCTION)["AWS_ACCESS_KEY_ID"])
    assert len(keys) == 2
