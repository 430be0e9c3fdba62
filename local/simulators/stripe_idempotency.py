"""Idempotency keys as Stripe treats them: a retry gets the first answer, even if that is a 500."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from local.simulators.calls import Answer, ApiCall
from local.simulators.clock import Clock
from local.simulators.json_text import encode
from local.simulators.stripe_errors import error

LONGEST_KEY = 255
# Stripe may remove keys once they are at least this old; the simulator always does.
KEPT_FOR = timedelta(hours=24)


@dataclass
class _Use:
    fingerprint: str
    begun: datetime
    answer: Answer | None = None


class IdempotencyKeys:
    """Keys per mode. A key without an answer is in use right now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._uses: dict[tuple[bool, str], _Use] = {}

    def begin(self, call: ApiCall, livemode: bool) -> Answer | None:
        """The answer to a call whose key is known (or too long); None: the key is new, and in use
        now."""
        key = key_of(call)
        if key is None:
            return None
        if len(key) > LONGEST_KEY:
            return error(
                400, f"Idempotency keys can be at most {LONGEST_KEY} characters long.", param=None
            )
        fingerprint = f"{call.method} {call.path} {encode(call.parameters)}"
        use, now = self._uses.get((livemode, key)), self._clock.now()
        if use is None or (use.answer is not None and now - use.begun >= KEPT_FOR):
            self._uses[livemode, key] = _Use(fingerprint, now)
            return None
        if use.fingerprint != fingerprint:
            return error(
                400,
                "Keys for idempotent requests can only be used with the same parameters they were "
                f"first used with. Try using a key other than '{key}' if you meant to execute a "
                "different request.",
                kind="idempotency_error",
            )
        if use.answer is None:
            return error(
                409,
                "There is currently another in-progress request using this Idempotent Key (that "
                "probably means you submitted twice, and the other request is still going "
                f"through): {key}. Please try again later.",
                kind="idempotency_error",
                code="idempotency_key_in_use",
            )
        headers = {**use.answer.headers, "Idempotent-Replayed": "true"}
        return replace(use.answer, headers=headers, replayed=True)

    def keep(self, call: ApiCall, livemode: bool, answer: Answer) -> None:
        """Store an answer under the call's key, replacing an earlier one."""
        key = key_of(call)
        if key is not None and (livemode, key) in self._uses:
            self._uses[livemode, key].answer = answer

    def release(self, call: ApiCall, livemode: bool) -> None:
        """Free a key whose call never began to execute."""
        key = key_of(call)
        if key is not None:
            self._uses.pop((livemode, key), None)

    def forget(self) -> int:
        """Forget all keys that are not in use, as Stripe may after a day; return how many."""
        kept = {key: use for key, use in self._uses.items() if use.answer is None}
        forgotten = len(self._uses) - len(kept)
        self._uses = kept
        return forgotten


def key_of(call: ApiCall) -> str | None:
    """Return the key of a call that writes; a read's key is ignored."""
    return call.headers.get("Idempotency-Key") if call.method == "POST" else None
