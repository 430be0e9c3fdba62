"""Reads and decrypts parameters of the Systems Manager, and caches them.

Powertools' Parameters do the same, but importing them also imports S3's transfers and AppConfig's
provider, just for one call (docs/performance.md).
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from refund_bridge.adapters.http.api_key import KeyUnavailableError
from refund_bridge.ports.runtime import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_T = TypeVar("_T")

# A value is fetched earlier by up to this part of its age, at random, so that workers which started
# together do not all fetch at the same time.
SPREAD: Final = 0.5
# How often all of the client's attempts are made if there is no older value: of a hundred workers
# that start within 0.3 s, all succeed (tests/unit/adapters/test_ssm_throttled.py).
ROUNDS: Final = 3
# How old a value may be that is used while the Systems Manager throttles; and how long to wait then
# before the next try.
STALE_MS_MAX: Final = 300_000
LEFT_ALONE_MS: Final = 5_000

# The message to callers if their keys cannot be checked.
UNREADABLE: Final = "Keys cannot be read now; nothing was executed. Repeat with the same key."
RETRY_AFTER_S: Final = 5

_FAILURES: Final = (BotoCoreError, ClientError)
_THROTTLING: Final = frozenset({"RequestLimitExceeded", "Throttling", "ThrottlingException"})


class KeysThrottledError(KeyUnavailableError):
    """The Systems Manager throttles: it gets too many requests at the moment."""


class Kept(Generic[_T]):
    """Caches what ``fetch`` returned, until it is ``max_age_s`` old or a random part of that.

    The age is measured by wall clock: the monotonic clock may stand still while Lambda freezes the
    function, and a revoked value must not stay valid. An older value is used only while the Systems
    Manager throttles, for ``STALE_MS_MAX`` at most, because otherwise nobody could be let in. Other
    failures are raised and not cached. Threads that ask at the same time may fetch twice.

    ``chance`` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        fetch: Callable[[], _T],
        *,
        max_age_s: int,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._fetch = fetch
        self._max_age_ms = max_age_s * 1000
        self._clock = clock
        self._chance = chance
        self._kept: tuple[_T, int] | None = None
        self._age_ms = 0

    def kept(self) -> _T | None:
        """The cached value, unless it is too old."""
        return self._younger_than(self._age_ms)

    def current(self) -> _T:
        """The cached value, fetched anew if it is too old; raises as ``fetch`` does."""
        kept = self.kept()
        if kept is not None:
            return kept
        for _ in range(ROUNDS - 1):
            try:
                return self.fetched_anew()
            except KeysThrottledError:
                known = self._younger_than(STALE_MS_MAX)
                if known is not None and self._kept is not None:
                    self._age_ms = self._clock.now_ms() - self._kept[1] + LEFT_ALONE_MS
                    return known
        return self.fetched_anew()

    def fetched_anew(self) -> _T:
        """Fetch the value now; if ``fetch`` raises, so does this, and the older value stays."""
        value = self._fetch()
        self._kept = (value, self._clock.now_ms())
        self._age_ms = round(self._max_age_ms * (1 - SPREAD * self._chance()))
        return value

    def _younger_than(self, age_ms: int) -> _T | None:
        if self._kept is None:
            return None
        value, fetched_at_ms = self._kept
        return value if 0 <= self._clock.now_ms() - fetched_at_ms < age_ms else None


def parameters_by_name(client: "SSMClient", names: Sequence[str]) -> Mapping[str, str]:
    """Those of these parameters that exist, in one call; ``names`` are full ones, ten at most.

    By GetParameters even for a single name, because the roles allow nothing else.

    Raises:
        KeyUnavailableError: they cannot be read now.
    """
    try:
        answer = client.get_parameters(Names=list(names), WithDecryption=True)
    except _FAILURES as error:
        raise _unavailable(", ".join(names), error) from error
    return {found["Name"]: found["Value"] for found in answer["Parameters"]}


def parameters_under(client: "SSMClient", path: str, *, at_most: int) -> Sequence[str]:
    """The first values directly under ``path``, in the Systems Manager's order, ten a call.

    Raises:
        KeyUnavailableError: they cannot be read now.
    """
    values: list[str] = []
    request: dict[str, Any] = {"Path": path, "Recursive": False, "WithDecryption": True}
    while len(values) < at_most:
        try:
            page = client.get_parameters_by_path(**request)
        except _FAILURES as error:
            raise _unavailable(path, error) from error
        values += [found["Value"] for found in page["Parameters"]]
        if not page.get("NextToken"):
            break
        request["NextToken"] = page["NextToken"]
    return values[:at_most]


def _unavailable(what: str, error: Exception) -> KeyUnavailableError:
    reason = f"{what}: {type(error).__name__}"
    if isinstance(error, ClientError) and error.response["Error"]["Code"] in _THROTTLING:
        return KeysThrottledError(f"{reason}, throttled")
    return KeyUnavailableError(reason)
