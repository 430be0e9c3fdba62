"""HitPay: the calls. What its answers mean is read in ``hitpay_outcome`` and ``hitpay_shapes``.

Facts of the API: https://docs.hitpayapp.com; the refund call has no idempotency key, no client
reference and no currency, so it is sent once and every failure is classified.
"""

from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode

from refunds.adapters.api_key import ApiKey, KeyUnavailableError, other_key
from refunds.adapters.deadline_http import DeadlineHttp
from refunds.adapters.exact_json import json_object
from refunds.adapters.http_messages import (
    ExchangeError,
    HttpAnswer,
    HttpRequest,
    NotSentError,
    UnclearError,
    retry_after_of,
)
from refunds.ports import (
    Aborted,
    Charge,
    ChargeNotFoundError,
    ChargePage,
    Deadline,
    Movement,
    Outcome,
    ProviderUnavailableError,
    RefundOrder,
    Unknown,
    UnreadableAnswerError,
)
from refunds.processors.hitpay_outcome import message_of, outcome_of
from refunds.processors.hitpay_shapes import (
    read_charge,
    read_movement,
    read_page,
    read_reference_number,
    read_succeeded_payments,
)

# With every refund listed in each charge, a page stays well below what an answer may measure.
CHARGES_PER_PAGE: Final = 50
_FORM: Final = "application/x-www-form-urlencoded"
# To connect and to be answered, a second sending after a 401 included: leases are built on this.
REFUND_MS_MAX: Final = 20_000


class HitPay:
    """``ports.Processor`` for HitPay.

    Args:
        base_url: ``https://api.hit-pay.com``, the sandbox's, or a simulator's.
        key: the API key; read anew once when HitPay answers 401.
        http: the caller whose limits and deadline bound every exchange.
        zero_decimals_as_integer: how amounts in currencies without minor units are printed
            (``5000`` or ``5000.00``); HitPay's documents do not say.
    """

    name: Final = "hitpay"

    def __init__(
        self,
        *,
        base_url: str,
        key: ApiKey,
        http: DeadlineHttp,
        zero_decimals_as_integer: bool = True,
    ) -> None:
        self._base_url = base_url.rstrip("/")
        self._key = key
        self._http = http
        self._zero_decimals_as_integer = zero_decimals_as_integer

    def warm(self, deadline: Deadline) -> None:
        """Have a connection open, so that the next call need not wait for one; never raises."""
        self._http.warm(self._base_url, deadline)

    def charge(self, charge_id: str, deadline: Deadline) -> Charge:
        """The payment of that id; see ``ports.Processor``."""
        source = self._get("/v1/charges/", charge_id, deadline)
        if source is None:
            raise ChargeNotFoundError(f"HitPay knows no charge {charge_id!r}")
        charge = read_charge(source)
        _require_same("charge", charge.id, charge_id)
        return charge

    def charge_id_of(self, payment_reference: str, deadline: Deadline) -> str:
        """The id of the one captured payment of a payment request; see ``ports.Processor``."""
        source = self._get("/v1/payment-requests/", payment_reference, deadline)
        if source is None:
            raise ChargeNotFoundError(f"HitPay knows no payment request {payment_reference!r}")
        payments = read_succeeded_payments(source)
        if len(payments) != 1:
            raise ChargeNotFoundError(
                f"payment request {payment_reference!r} has {len(payments)} succeeded payments"
            )
        return payments[0]

    def reference_of(self, charge: Charge, deadline: Deadline) -> str | None:
        """The ``reference_number`` of the payment request behind it; see ``ports.Processor``."""
        if charge.request_id is None:
            return None
        source = self._get("/v1/payment-requests/", charge.request_id, deadline)
        return None if source is None else read_reference_number(source)

    def charges(self, cursor: str | None, deadline: Deadline) -> ChargePage:
        """One page of ``GET /v1/charges``; see ``ports.Processor``."""
        query = {"per_page": CHARGES_PER_PAGE} | dict(parse_qsl(cursor or ""))
        source = self._object_at(f"/v1/charges?{urlencode(query)}", deadline)
        if source is None:
            raise UnreadableAnswerError("HitPay answered that it has no list of charges")
        return read_page(source)

    def movement(self, processor_refund_id: str, deadline: Deadline) -> Movement | None:
        """The refund of that id; see ``ports.Processor``."""
        source = self._get("/v1/refund/", processor_refund_id, deadline)
        if source is None:
            return None
        movement = read_movement(source)
        _require_same("refund", movement.id, processor_refund_id)
        return movement

    def refund(self, order: RefundOrder, deadline: Deadline) -> Outcome:
        """Ask once to move the money; see ``ports.Processor``.

        Sent a second time only after 401, which is certain not to have executed, and only if the
        key read anew is another one.
        """
        limited = deadline.at_most(REFUND_MS_MAX)
        printed = order.money.decimal_string(
            zero_decimals_as_integer=self._zero_decimals_as_integer
        )
        form = urlencode({"payment_id": order.payment_id, "amount": printed}).encode()
        try:
            key = self._key.current()
            answer = self._post(form, key, limited)
            if answer.status == 401 and (rotated := other_key(self._key, key)):
                key = rotated
                answer = self._post(form, key, limited)
        except (KeyUnavailableError, NotSentError) as error:
            return Aborted(error.reason)
        except UnclearError as error:
            return Unknown(error.reason)
        return outcome_of(answer, order, secret=key)

    def _post(self, form: bytes, key: str, deadline: Deadline) -> HttpAnswer:
        headers = {**_headers(key), "Content-Type": _FORM}
        request = HttpRequest("POST", f"{self._base_url}/v1/refund", headers, form)
        return self._http.send(request, deadline)

    def _get(self, folder: str, name: str, deadline: Deadline) -> dict[str, Any] | None:
        """An object's members, ``None`` if HitPay says that it knows none of that name."""
        if not name.strip("."):
            return None  # as a path, "", "." and ".." would name something else than an object
        return self._object_at(folder + quote(name, safe=""), deadline)

    def _object_at(self, path: str, deadline: Deadline) -> dict[str, Any] | None:
        answer, key = self._ask_twice(path, deadline)
        if answer.is_success:
            members = json_object(answer.body)
            if members is None:
                raise UnreadableAnswerError(f"HitPay answered {answer.status} without an object")
            return members
        message = message_of(answer, secret=key)
        if answer.status == 404 and message:
            return None
        # A refusal to show this one object says nothing of the others: no outage.
        refused = 400 <= answer.status < 500 and answer.status not in (401, 408, 429)
        kind = UnreadableAnswerError if refused else ProviderUnavailableError
        raise kind(
            f"HitPay answered {answer.status}" + (f": {message}" if message else ""),
            retry_after_s=retry_after_of(answer.headers),
        )

    def _ask_twice(self, path: str, deadline: Deadline) -> tuple[HttpAnswer, str]:
        """A whole answer to a GET, and the key it was asked with; at most two requests.

        The second one, on a fresh connection, is for a lost answer, a 5xx, or a rotated key.
        """
        try:
            key = self._key.current()
            first: HttpAnswer | None = None
            try:
                first = self._http.send(self._get_request(path, key), deadline)
            except ExchangeError:
                if not deadline.remaining_ms():
                    raise
            if first is not None and first.status == 401:
                rotated = other_key(self._key, key)
                if rotated is None:
                    return first, key
                key = rotated
            elif first is not None and first.status < 500:
                return first, key
            return self._http.send(self._get_request(path, key), deadline, fresh=True), key
        except (KeyUnavailableError, ExchangeError) as error:
            raise ProviderUnavailableError(f"HitPay: {error.reason}") from error

    def _get_request(self, path: str, key: str) -> HttpRequest:
        return HttpRequest("GET", f"{self._base_url}{path}", _headers(key))


def _headers(key: str) -> dict[str, str]:
    return {
        "X-BUSINESS-API-KEY": key,
        "X-Requested-With": "XMLHttpRequest",
        "Accept": "application/json",
    }


def _require_same(what: str, found: str, asked: str) -> None:
    # HitPay may spell an id in another case; anything more is another object.
    if found.casefold() != asked.casefold():
        raise UnreadableAnswerError(f"HitPay answered with another {what} than was asked for")
