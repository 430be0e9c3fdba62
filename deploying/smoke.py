"""Does the deployed stack work? We call it from outside, and each function once.

Nothing here refunds anything. One run of settling is started, as the schedule does every minute
anyway; the sweep is not started, since it may take minutes.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from deployed import paths
from deployed.api_keys import ApiKeyStore, TooManyKeysError, new_api_key
from deployed.clients import CloudClients
from deployed.live import ALIAS, LiveStack
from deployed.polling import NotInTimeError, wait_for
from deployed.stages import Stage

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

DOCUMENT = paths.ROOT / "layers" / "product" / "refund_bridge" / "contract" / "openapi.json"
# The end of the name of the function that reads the queue of requests; a paused stack's does not
# read it.
TAKES_REQUESTS = "-refund-requested"
TIMEOUT = urllib3.Timeout(connect=5, read=60)
# A new API's address, a new event source mapping and a new key need a while until AWS knows them
# everywhere.
SOON_SECONDS = 120.0
LOOK_EVERY_SECONDS = 1.0
# A function caches the callers' keys, and throttles a client that sends many unknown keys.
KEY_PAUSE_SECONDS = 10.0


class SmokeError(RuntimeError):
    """Something that was deployed does not work; the sentence says what."""


class Smoke:
    """The checks; each raises `SmokeError` if it fails."""

    def __init__(
        self, clients: CloudClients, stage: Stage, api_url: str, *, settle_function: str
    ) -> None:
        self._clients = clients
        self._stage = stage
        self._api_url = api_url
        self._settle_function = settle_function
        self._live = LiveStack(clients, stage.stack_name)
        self._http = urllib3.PoolManager(timeout=TIMEOUT, retries=False)

    def all(self) -> Iterator[str]:
        """Make all checks; yields a sentence for each."""
        if self._stage.parameters["Paused"] == "true":
            yield self.is_paused()
            return
        yield from self.sources_and_schedules()
        yield self.health()
        yield self.document()
        yield self.strangers()
        yield self.list()
        yield self.webhook()
        yield from self.functions()

    def is_paused(self) -> str:
        """Check that nothing runs that could move money."""
        is_taken = any(
            source.state == "Enabled"
            for source in self._live.sources()
            if source.function.endswith(TAKES_REQUESTS)
        )
        if is_taken or "DISABLED" not in self._live.schedules().values():
            raise SmokeError("Paused, but the request queue or settling's schedule is enabled")
        last = 0

        def refused() -> bool:
            nonlocal last
            last, _ = self._get("/health")
            return last >= 500

        try:  # a new API's address is not known at once either
            self._soon("GET /health answers 5xx", refused)
        except SmokeError as error:
            raise SmokeError(
                f"Paused, but GET /health answers {last or 'nothing'}: {error}"
            ) from error
        return "paused: nothing that moves money runs"

    def sources_and_schedules(self) -> Iterator[str]:
        """Check that event source mappings and schedules are enabled."""
        self._soon("all queues and streams enabled", self._all_sources_are_enabled)
        off = [name for name, state in self._live.schedules().items() if state != "ENABLED"]
        if off:
            raise SmokeError(f"These schedules are not enabled: {', '.join(off)}")
        yield f"{len(self._live.sources())} queues and streams call their functions"
        yield f"{len(self._live.schedules())} schedules are enabled"

    def health(self) -> str:
        """Check that the API answers, and a function behind it."""
        self._soon("GET /health answers 200", lambda: self._get("/health")[0] == 200)
        return "GET /health answers"

    def document(self) -> str:
        """Check that the function that answers runs the code of this checkout."""
        status, served = self._get("/v1/openapi.json")
        wanted = json.loads(DOCUMENT.read_text())
        if status != 200 or not isinstance(served, dict):
            raise SmokeError(f"GET /v1/openapi.json answers {status}")
        if served | {"servers": None} != wanted | {"servers": None}:
            raise SmokeError("GET /v1/openapi.json answers with the document of another release")
        return f"GET /v1/openapi.json is that of this release ({served['info']['version']})"

    def strangers(self) -> str:
        """Check that a request without a key or a signature is refused."""
        status, _ = self._get("/v1/refunds?limit=1")
        if status not in (401, 403, 404):  # API Gateway may answer an unsigned request with 404
            raise SmokeError(f"GET /v1/refunds answers {status} to somebody without a key")
        return "without a key nobody is let in"

    def list(self) -> str:
        """Check that secrets and ledger can be read: get one page of the list, with a new key that
        is then revoked."""
        path = "/v1/refunds?limit=1"
        if self._stage.parameters["ApiAuth"] != "bearer":
            status, body = self._get(path, self._signed(path))
            if status == 403:
                return "GET /v1/refunds was not tried: this identity may not call the API"
        else:
            status, body = self._listed_with_a_key(path)
        if status != 200 or not isinstance(body, dict) or body.get("object") != "list":
            raise SmokeError(f"GET /v1/refunds answers {status}")
        return "GET /v1/refunds answers with a list"

    def webhook(self) -> str:
        """Check that the webhook's function reads its salts, and refuses what is not signed."""
        answer = self._http.request("POST", f"{self._api_url}/v1/webhooks/hitpay", body=b"{}")
        if answer.status != 401:
            raise SmokeError(f"POST /v1/webhooks/hitpay answers {answer.status} to a stranger")
        return "POST /v1/webhooks/hitpay takes nothing that is not signed"

    def functions(self) -> Iterator[str]:
        """Call once each function that a queue, a stream or the settle schedule calls."""
        calls: dict[str, dict[str, Any]] = {
            source.function: {"Records": []} for source in self._live.sources()
        }
        calls[self._settle_function] = {}
        for function, event in sorted(calls.items()):
            self._invoke(function, event)
        yield f"{len(calls)} functions run"

    # --- inside ----------------------------------------------------------------------------------

    def _all_sources_are_enabled(self) -> bool:
        return all(source.state == "Enabled" for source in self._live.sources())

    def _listed_with_a_key(self, path: str) -> tuple[int, Any]:
        with self._temporary_key() as key:
            headers = {"Authorization": f"Bearer {key}"}
            answers: list[tuple[int, Any]] = []

            def known() -> bool:
                answers.append(self._get(path, headers))
                return answers[-1][0] not in (401, 429)

            remembered = float(self._stage.parameters["SecretsCacheSeconds"])
            self._soon("a new key known", known, besides=remembered, every=KEY_PAUSE_SECONDS)
        return answers[-1]

    @contextmanager
    def _temporary_key(self) -> Iterator[str]:
        parameters = self._stage.parameters
        callers = ApiKeyStore(
            self._clients.client("ssm"),
            self._stage.secrets_prefix,
            kms_key_id=parameters["KmsKeyArn"],
        )
        key = new_api_key("smoke-test", ("refunds:read",))
        try:
            callers.add(key)
        except TooManyKeysError as error:
            raise SmokeError(f"No key could be made to look at the list with. {error}") from error
        try:
            yield key.text
        finally:
            callers.remove([key.id])

    def _signed(self, path: str) -> dict[str, str]:
        request = AWSRequest("GET", self._api_url + path)
        SigV4Auth(self._clients.credentials(), "execute-api", self._clients.region).add_auth(
            request
        )
        return dict(request.headers)

    def _get(self, path: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        answer = self._http.request("GET", self._api_url + path, headers=headers)
        try:
            return answer.status, json.loads(answer.data)
        except ValueError:
            return answer.status, None

    def _invoke(self, function: str, event: dict[str, Any]) -> None:
        client: LambdaClient = self._clients.caller_of_functions()
        answer = client.invoke(
            FunctionName=function, Qualifier=ALIAS, Payload=json.dumps(event).encode()
        )
        if "FunctionError" in answer:
            # The error's text may quote data that the function worked on; the log has it.
            raise SmokeError(f"{function} fails; its log says why")

    def _soon(
        self,
        what: str,
        look: Callable[[], bool],
        *,
        besides: float = 0.0,
        every: float | None = None,
    ) -> None:
        """Repeat a check until it succeeds, as long as AWS may need and `besides` seconds more."""
        trouble = ""

        def careful() -> bool:
            nonlocal trouble
            try:
                return look()
            except urllib3.exceptions.HTTPError as error:
                trouble = f" ({type(error).__name__} at {urlsplit(self._api_url).hostname})"
                return False

        try:
            pause = LOOK_EVERY_SECONDS if every is None else every
            wait_for(careful, what, at_most=SOON_SECONDS + besides, every=pause)
        except NotInTimeError as error:
            raise SmokeError(f"{error}{trouble}") from error
