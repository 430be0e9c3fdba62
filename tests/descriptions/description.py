"""A provider's API as the provider describes it, and an exchange held against that."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from local.simulators.form_text import parse_form
from local.simulators.json_text import JsonObject, decode_object
from refund_bridge.adapters.http.messages import HttpAnswer, HttpRequest

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
NO_OPERATION = "no call of this API"


class Description(ABC):
    """What may be asked of an API and what it answers.

    Args:
        routes: method, path with ``{id}``, and the operation's name.

    Attributes:
        provider: the name of its simulator.
    """

    provider: str

    def __init__(self, routes: Iterable[tuple[str, str, str]]) -> None:
        self._routes = [
            (method, re.compile(re.escape(path).replace(r"\{id\}", "[^/?]+")), operation)
            for method, path, operation in routes
        ]

    @abstractmethod
    def parameters(self, operation: str, given: JsonObject, *, in_form: bool) -> Iterator[str]:
        """What does not fit in the parameters of a request, in words."""

    @abstractmethod
    def shown(self, operation: str, body: JsonObject) -> Iterator[str]:
        """What does not fit in a success."""

    @abstractmethod
    def refused(self, status: int, body: JsonObject) -> Iterator[str]:
        """What does not fit in a 4xx."""

    @abstractmethod
    def headers(self, headers: JsonObject) -> Iterator[str]:
        """What is missing among a request's headers, whose names are in lower case."""

    def operation_of(self, request: HttpRequest) -> str:
        """The operation that a request asks for; ``NO_OPERATION`` if there is none."""
        path = urlsplit(request.url).path
        for method, form, operation in self._routes:
            if method == request.method and form.fullmatch(path):
                return operation
        return NO_OPERATION

    def of_request(self, request: HttpRequest) -> list[str]:
        """All that does not fit in a request."""
        operation = self.operation_of(request)
        if operation == NO_OPERATION:
            return [f"{request.method} {urlsplit(request.url).path} is {NO_OPERATION}"]
        headers: JsonObject = {name.lower(): value for name, value in request.headers.items()}
        found = [*self.headers(headers)]
        parameters = parse_form(urlsplit(request.url).query)
        kind = headers.get("content-type", FORM)
        if kind not in (FORM, JSON):
            found.append(f"the body is declared as {kind}")
        elif request.body and kind == FORM:
            parameters.update(parse_form(request.body.decode()))
        elif request.body:
            parameters.update(decode_object(request.body))
        return [*found, *self.parameters(operation, parameters, in_form=kind == FORM)]

    def of_answer(self, request: HttpRequest, answer: HttpAnswer) -> list[str]:
        """All that does not fit in an answer; of a 5xx nothing is described."""
        if answer.status >= 500:
            return []
        try:
            body = decode_object(answer.body)
        except ValueError:
            return [f"{answer.status} without a JSON object"]
        if answer.is_success:
            return [*self.shown(self.operation_of(request), body)]
        return [*self.refused(answer.status, body)]
