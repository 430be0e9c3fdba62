"""Plain callers of the simulators: no retries, no redirects, every socket error visible."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import urllib3

from local.simulators.json_text import JsonObject, decode_object, encode

T = TypeVar("T")


@dataclass(frozen=True)
class Reply:
    status: int
    raw: bytes
    headers: urllib3.HTTPHeaderDict

    @property
    def body(self) -> JsonObject:
        return decode_object(self.raw)


class HitPayCaller:
    def __init__(self, url: str, key: str = "hitpay-simulator-key") -> None:
        self.url = url
        self.key = key
        self.pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))

    def get(self, path: str, *, timeout: float = 5) -> Reply:
        return self._reply(
            self.pool.request(
                "GET", self.url + path, headers=self._headers(), redirect=False, timeout=timeout
            )
        )

    def refund(self, *, payment_id: str, amount: str, timeout: float = 5) -> Reply:
        return self.post({"payment_id": payment_id, "amount": amount}, timeout=timeout)

    def post(self, form: dict[str, str], *, timeout: float = 5) -> Reply:
        return self._reply(
            self.pool.request(
                "POST",
                self.url + "/v1/refund",
                fields=form,
                encode_multipart=False,
                headers=self._headers(),
                redirect=False,
                timeout=timeout,
            )
        )

    def refund_json(self, text: str) -> Reply:
        headers = {**self._headers(), "Content-Type": "application/json"}
        return self._reply(
            self.pool.request("POST", self.url + "/v1/refund", body=text, headers=headers)
        )

    def charge(self, charge_id: str) -> JsonObject:
        return self.get(f"/v1/charges/{charge_id}").body

    def close(self) -> None:
        self.pool.clear()

    def _headers(self) -> dict[str, str]:
        return {"X-BUSINESS-API-KEY": self.key, "X-Requested-With": "XMLHttpRequest"}

    def _reply(self, response: urllib3.BaseHTTPResponse) -> Reply:
        return Reply(response.status, response.data, response.headers)


def eventually(look: Callable[[], T], wanted: Callable[[T], bool], within: float = 5) -> T:
    """Look again until it is as wanted; the last look is returned for the assertion to judge."""
    end = time.monotonic() + within
    seen = look()
    while not wanted(seen) and time.monotonic() < end:
        time.sleep(0.01)
        seen = look()
    return seen


class JsonCaller:
    """A caller of a processor beside HitPay: JSON both ways, and the headers that it was given."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.pool = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(5))

    def get(self, path: str) -> Reply:
        return self._reply(self.pool.request("GET", self.url + path, headers=self.headers))

    def post(self, path: str, body: JsonObject, *, timeout: float = 5) -> Reply:
        headers = {**self.headers, "Content-Type": "application/json"}
        response = self.pool.request(
            "POST",
            self.url + path,
            body=encode(body),
            headers=headers,
            redirect=False,
            timeout=timeout,
        )
        return self._reply(response)

    def close(self) -> None:
        self.pool.clear()

    def _reply(self, response: urllib3.BaseHTTPResponse) -> Reply:
        return Reply(response.status, response.data, response.headers)


def member(body: JsonObject, *path: str) -> object:
    """A member of a member of an answer."""
    value: object = body
    for name in path:
        assert isinstance(value, dict)
        value = value[name]
    return value
