"""AWS in a few dictionaries, as far as the deploy command looks at it."""

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from deployed.clients import AccessKey, CloudClients

Answer = Callable[..., Any]


class FakeClients(CloudClients):
    """Clients whose calls are answered by functions, by service and method."""

    def __init__(self, **services: Mapping[str, Answer]) -> None:
        super().__init__("ap-southeast-1", "http://127.0.0.1:1", AccessKey("AKIA1", "secret"))
        self._services = services

    def client(self, service: str) -> Any:
        return SimpleNamespace(**self._services[service])

    def caller_of_functions(self) -> Any:
        return self.client("lambda")


class Pages:
    """A paginator that has one page."""

    def __init__(self, page: dict[str, Any]) -> None:
        self._page = page

    def paginate(self, **_: Any) -> Iterator[dict[str, Any]]:
        yield self._page


def refused(code: str, message: str = "no", operation: str = "Asked") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


def raising(error: Exception) -> Answer:
    def answer(*_: Any, **__: Any) -> Any:
        raise error

    return answer
