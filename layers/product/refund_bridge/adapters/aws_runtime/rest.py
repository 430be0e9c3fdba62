"""A function behind API Gateway's REST API: reads the request and makes the answer.

Whatever happens, the answer has the contract's form. The statuses of the errors are in
``http/answers.py``.
"""

import json
import re
from base64 import b64decode
from http import HTTPStatus
from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayRestResolver, Response
from aws_lambda_powertools.utilities.typing import LambdaContext

from refund_bridge.contract.documents import FORM, media_type_of
from refund_bridge.domain.errors import (
    InvalidRequestError,
    NotFoundError,
    OutcomeUnknownError,
    PayloadTooLargeError,
    RefundBridgeError,
)
from refund_bridge.http.answers import ApiAnswer, error_answer
from refund_bridge.ports.ledger import LedgerConflictError, LedgerUnavailableError

BODY_BYTES_MAX: Final = 256 * 1024
# The same limit in base64, so that a huge body is refused before it is decoded.
_ENCODED_MAX: Final = (BODY_BYTES_MAX + 2) // 3 * 4
STRIPE_VERSION: Final = "Stripe-Version"
_VERSION: Final = re.compile(r"[0-9A-Za-z.;=_-]{1,100}", re.ASCII)


class RestFunction:
    """The router of one function and the call that it is answering; one at a time, as on Lambda.

    Attributes:
        app: the router to which the function adds its paths.
    """

    def __init__(
        self, logger: Logger, *, challenge: str, unknown: str, takes_sdks: bool = False
    ) -> None:
        """``challenge`` tells callers in a 401 how to authenticate (``WWW-Authenticate``).

        ``unknown`` tells them what to do if it is not known what happened. ``takes_sdks``: Stripe's
        SDKs are among the callers, and get answers in the form that they expect.
        """
        self.app = APIGatewayRestResolver()
        self._logger = logger
        self._challenge = challenge
        self._unknown = unknown
        self._takes_sdks = takes_sdks
        self.app.not_found(self._no_such_path)
        self.app.exception_handler(RefundBridgeError)(self.told)
        self.app.exception_handler(Exception)(self._not_known)

    def resolve(self, event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
        """Answer one call of the gateway."""
        self._logger.append_keys(request_id=(event.get("requestContext") or {}).get("requestId"))
        return self.app.resolve(event, context)

    @property
    def context(self) -> dict[str, Any]:
        """What the gateway itself says about the call; callers cannot set any of it."""
        return self.app.current_event.raw_event.get("requestContext") or {}

    @property
    def request_id(self) -> str:
        """The gateway's id of the call, by which the call can be found in the logs."""
        return str(self.context.get("requestId"))

    def header(self, name: str) -> str | None:
        """The header of that name, in upper or lower case."""
        return self.app.current_event.headers.get(name)

    @property
    def is_for_sdk(self) -> bool:
        """Whether the call is like one of Stripe's SDKs: a form, or with a ``Stripe-Version``."""
        is_form = media_type_of(self.header("Content-Type")) == FORM
        return self._takes_sdks and (is_form or self.header(STRIPE_VERSION) is not None)

    def text(self) -> str:
        """The body as text.

        Raises:
            PayloadTooLargeError: as ``body``.
            InvalidRequestError: it is not UTF-8.
        """
        try:
            return self.body().decode()
        except UnicodeDecodeError as error:
            raise InvalidRequestError.at("", "not UTF-8", "The body is not UTF-8.") from error

    def body(self) -> bytes:
        """The body as it was sent, byte for byte.

        Raises:
            PayloadTooLargeError: it has more than ``BODY_BYTES_MAX`` bytes.
        """
        event = self.app.current_event
        text = event.body or ""
        if len(text) <= _ENCODED_MAX:
            raw = _decoded(text) if event.is_base64_encoded else _as_sent(text)
            if len(raw) <= BODY_BYTES_MAX:
                return raw
        raise PayloadTooLargeError("The body is larger than 256 KB.")

    def answer(self, answer: ApiAnswer) -> Response[str]:
        """The answer as the gateway takes it."""
        headers: dict[str, str | list[str]] = {
            "Cache-Control": "no-store",
            "Request-Id": self.request_id,
            **answer.headers,
        }
        version = self.header(STRIPE_VERSION)
        if self._takes_sdks and version is not None and is_version(version):
            headers[STRIPE_VERSION] = version
        if answer.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = self._challenge
        return Response(
            status_code=answer.status,
            content_type="application/json",
            body=json.dumps(answer.body),
            headers=headers,
        )

    def error(self, error: RefundBridgeError) -> Response[str]:
        """One of the contract's errors as the gateway takes it."""
        return self.answer(error_answer(error, self.request_id, for_sdk=self.is_for_sdk))

    def told(self, error: RefundBridgeError) -> Response[str]:
        """As ``error``, for an error that was raised; also logs it."""
        self._logger.info("answered_with_error", code=error.code)
        return self.error(error)

    def _no_such_path(self, _: Exception) -> Response[str]:
        return self.error(NotFoundError(f"There is no {self.app.current_event.path}."))

    def _not_known(self, error: Exception) -> Response[str]:
        """Log the failure in full, and answer without its text."""
        passing = isinstance(error, LedgerConflictError | LedgerUnavailableError)
        self._logger.exception("ledger_unavailable" if passing else "internal_error")
        return self.error(OutcomeUnknownError(self._unknown))


def is_version(text: str) -> bool:
    """Whether the text can be a version of Stripe's API, such as ``2026-01-28.clover``."""
    return _VERSION.fullmatch(text) is not None


def _decoded(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""  # the gateway itself encodes, so no caller can have sent this


def _as_sent(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
