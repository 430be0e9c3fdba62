"""The access keys that the emulator itself makes for users and roles' sessions, also functions'.

Runs in the emulator's environment: only the standard library and MiniStack itself.
"""

import hashlib
import hmac
import secrets
import threading
from importlib import import_module
from typing import Any


def was_issued(key: str) -> bool:
    """Whether MiniStack gave this access key to a role's session or to a user."""
    sessions: Any = import_module("ministack.services.sts")
    users: Any = import_module("ministack.services.iam")
    return key in sessions._sessions or any(
        stored == key for _account, stored in users._access_keys.to_dict()
    )


def give_functions_keys_that_nobody_can_guess() -> None:
    """Make a function's keys depend on a secret of this process.

    MiniStack makes them from the names of the function and the role, which anybody can know.
    """
    runtime: Any = import_module("ministack.core.lambda_runtime")
    functions: Any = import_module("ministack.services.lambda_svc")
    sessions: Any = import_module("ministack.services.sts")
    derived, secret = runtime.execution_credentials, secrets.token_bytes(32)
    one_at_a_time = threading.Lock()

    def mixed(text: str) -> str:
        return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()

    def credentials(function: dict[str, Any]) -> dict[str, str]:
        with one_at_a_time:
            guessable = derived(function)
            session = sessions._sessions.pop(guessable["AWS_ACCESS_KEY_ID"])
            given = {name: mixed(value) for name, value in guessable.items()}
            given["AWS_ACCESS_KEY_ID"] = f"ASIA{given['AWS_ACCESS_KEY_ID'][:16].upper()}"
            session["SecretAccessKey"] = given["AWS_SECRET_ACCESS_KEY"]
            session["SessionToken"] = given["AWS_SESSION_TOKEN"]
            sessions.register_session(given["AWS_ACCESS_KEY_ID"], session)
            return given

    runtime.execution_credentials = functions.execution_credentials = credentials
