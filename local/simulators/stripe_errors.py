"""Stripe's error bodies, in its words where they are known."""

from collections.abc import Mapping

from local.simulators.calls import Answer, Refusal


def error(  # noqa: PLR0913 -- the members of Stripe's error object
    status: int,
    message: str,
    *,
    kind: str = "invalid_request_error",
    code: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return an answer with Stripe's error object; absent members are left out."""
    members = {"code": code, "message": message, "param": param, "type": kind}
    body = {key: value for key, value in members.items() if value is not None}
    return Answer(status, {"error": body}, headers or {})


def failure(status: int) -> Answer:
    """Return Stripe's own kind of answer with an error status."""
    if status == 429:
        message = "Request rate limit exceeded. Learn more about rate limits in the documentation."
        headers = {"Stripe-Rate-Limited-Reason": "endpoint-rate", "Retry-After": "1"}
        return error(429, message, code="rate_limit", headers=headers)
    if status == 401:
        return error(401, "Invalid API Key provided.")
    if status == 409:
        return error(
            409,
            "This object cannot be accessed right now because another API request or Stripe "
            "process is currently accessing it.",
            code="lock_timeout",
        )
    if status < 500:
        return error(status, "Your request could not be processed.")
    return error(status, "An unknown error occurred", kind="api_error")


def invalid(message: str, *, param: str | None = None, code: str | None = None) -> Refusal:
    """Refuse a parameter; not stored under the key, since execution has not begun."""
    return Refusal(error(400, message, param=param, code=code), kept=False)


def missing(param: str) -> Refusal:
    """Refuse for a required parameter that is not there."""
    return invalid(f"Missing required param: {param}.", param=param, code="parameter_missing")


def refused(message: str, *, param: str | None = None, code: str | None = None) -> Refusal:
    """Refuse during execution; stored under the key."""
    return Refusal(error(400, message, param=param, code=code))


def no_such(model: str, key: str, *, livemode: bool, exists_in_other: bool) -> Refusal:
    """Return Stripe's 404; as Stripe does, it says if the other mode has such an object."""
    message = f"No such {model}: '{key}'"
    if exists_in_other:
        mine, other = ("live", "test") if livemode else ("test", "live")
        message += (
            f"; a similar object exists in {other} mode, "
            f"but a {mine} mode key was used to make this request."
        )
    return Refusal(error(404, message, code="resource_missing", param="id"))
