"""Parameters of the Systems Manager, decrypted, and a cache for them.

Powertools' Parameters do the same, but importing them imports S3's transfers and AppConfig's
provider, for one call (docs/performance.md).
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from refunds.adapters.api_key import KeyUnavailableError
from refunds.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_ssm import SSMClient

_T = TypeVar("_T")

_FAILURES: Final = (BotoCoreError, ClientError)


class Kept(Generic[_T]):
    """What ``fetch`` returned, until it is ``max_age_s`` old.

    By wall clock, since the other one may stand still while Lambda freezes the function, and what
    was revoked meanwhile must not live on. Failures are not kept. Threads that ask at the same time
    may fetch twice.
    """

    def __init__(self, fetch: Callable[[], _T], *, max_age_s: int, clock: Clock) -> None:
        self._fetch = fetch
        self._max_age_ms = max_age_s * 1000
        self._clock = clock
        self._kept: tuple[_T, int] | None = None

    def kept(self) -> _T | None:
        """What was fetched, unless it is too old."""
        if self._kept is None:
            return None
        value, fetched_at_ms = self._kept
        is_young = 0 <= self._clock.now_ms() - fetched_at_ms < self._max_age_ms
        return value if is_young else None

    def current(self) -> _T:
        """What was fetched, now if it is too old; raises as ``fetch`` does."""
        kept = self.kept()
        return self.fetched_anew() if kept is None else kept

    def fetched_anew(self) -> _T:
        """What is fetched now; raises as ``fetch`` does, and then the older one stays."""
        value = self._fetch()
        self._kept = (value, self._clock.now_ms())
        return value


def parameters_by_name(client: "SSMClient", names: Sequence[str]) -> Mapping[str, str]:
    """Those of these parameters that exist, in one call; ``names`` are full ones, ten at most.

    By name, even where there is only one, since GetParameters is all that the roles allow.

    Raises:
        KeyUnavailableError: they cannot be read now.
    """
    try:
        answer = client.get_parameters(Names=list(names), WithDecryption=True)
    except _FAILURES as error:
        raise KeyUnavailableError(f"{', '.join(names)}: {type(error).__name__}") from error
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
            raise KeyUnavailableError(f"{path}: {type(error).__name__}") from error
        values += [found["Value"] for found in page["Parameters"]]
        if not page.get("NextToken"):
            break
        request["NextToken"] = page["NextToken"]
    return values[:at_most]
