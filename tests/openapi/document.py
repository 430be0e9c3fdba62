"""The OpenAPI document as the tests use it: what it allows, and whether a call keeps to it."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

import jsonschema_rs

from local.http_client import Answer, Exchange
from local.openapi import read_document

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
# Headers that the contract gives a meaning: one of them is documented wherever it comes.
MEANT = ("Allow", "Idempotent-Replayed", "Retry-After", "WWW-Authenticate")
# A call that is not of the document's form may be answered so, and in no other way.
REFUSALS = frozenset({400, 401, 403, 404, 405, 413, 415, 429})
FORM = "application/x-www-form-urlencoded"
# Beside every 429 and every status from 500.
WORTH_REPEATING = frozenset({"idempotency_key_in_use", "payment_busy"})


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    definition: Mapping[str, Any]

    @property
    def name(self) -> str:
        """As schemathesis calls it."""
        return f"{self.method.upper()} {self.path}"


@cache
def document() -> dict[str, Any]:
    """The document, read once."""
    return read_document()


def operations() -> Iterator[Operation]:
    """Every operation, in the document's order."""
    for path, methods in document()["paths"].items():
        for method in METHODS:
            if method in methods:
                yield Operation(method, path, methods[method])


def followed(node: Mapping[str, Any]) -> Mapping[str, Any]:
    """The node itself, or what it refers to within the document."""
    while "$ref" in node:
        target: Any = document()
        for part in node["$ref"].removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        node = target
    return node


def operation_of(method: str, path: str) -> Operation | None:
    """The operation that a request of that path is for."""
    for operation in operations():
        if operation.method == method.lower() and _pattern(operation.path).fullmatch(path):
            return operation
    return None


def problems(schema: Mapping[str, Any], value: Any) -> list[str]:
    """Where and why a JSON value is not of the schema."""
    return [
        f"{'/'.join(map(str, error.instance_path))}: {error.message}"
        for error in _validator(json.dumps(schema)).iter_errors(value)
    ]


def exchange_problems(exchange: Exchange) -> list[str]:
    """Where a request and its answer do not keep to the document.

    What the document does not allow must be refused; what is accepted must be allowed by it.
    """
    path = urlsplit(exchange.path).path
    operation = operation_of(exchange.method, path)
    if operation is None:
        return _stray_problems(exchange)
    found = _answer_problems(operation.definition["responses"], exchange.answer)
    found += _problems_of_every_answer(exchange.answer)
    if exchange.answer.status not in REFUSALS:
        found += [f"accepted: {problem}" for problem in request_problems(operation, exchange)]
    return [f"{operation.name} {exchange.answer.status}: {problem}" for problem in found]


def request_problems(operation: Operation, exchange: Exchange) -> list[str]:
    """Where a request is not of the form that its operation asks for."""
    split = urlsplit(exchange.path)
    query = _grouped(parse_qs(split.query, keep_blank_values=True))
    headers = {name.lower(): value for name, value in exchange.headers.items()}
    matched = _pattern(operation.path).fullmatch(split.path)
    in_path = {} if matched is None else matched.groupdict()
    parameters = [followed(each) for each in operation.definition.get("parameters", ())]
    found = [
        f"{name} is no parameter"
        for name in query
        if name not in {each["name"] for each in parameters if each["in"] == "query"}
    ]
    for each in parameters:
        name = each["name"]
        given = {
            "query": query.get(name, []),
            "header": [headers[name.lower()]] if name.lower() in headers else [],
            "path": [unquote(in_path[name])] if name in in_path else [],
        }[each["in"]]
        is_list = followed(each["schema"]).get("type") == "array"
        if (len(given) > 1 and not is_list) or (not given and each.get("required")):
            found.append(f"{name} is given {len(given)} times")
        values = [given] if is_list and given else [_typed(one, each["schema"]) for one in given]
        for value in values:
            found += [f"{name}: {problem}" for problem in problems(each["schema"], value)]
    return found + _request_body_problems(operation, exchange, headers)


def _request_body_problems(
    operation: Operation, exchange: Exchange, headers: Mapping[str, str]
) -> list[str]:
    expected = operation.definition.get("requestBody")
    if expected is None:
        return []
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    media = expected["content"].get(media_type)
    if media is None:
        return [f"a body of {media_type or 'no type'}"]
    if not exchange.body and not expected.get("required"):
        return []
    try:
        read = form_document if media_type == FORM else json.loads
        value = read((exchange.body or b"").decode())
    except ValueError:
        return [f"a body that is not of {media_type}"]
    return problems(media["schema"], value)


def form_document(text: str) -> dict[str, Any]:
    """What a form stands for; by Python's own decoder, not by the one that is tested.

    Raises:
        ValueError: it is not well formed.
    """
    pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict")
    document: dict[str, Any] = {}
    for name, value in pairs:
        head, bracket, below = name.partition("[")
        members = document.setdefault(head, {}) if bracket else document
        key = below.removesuffix("]") if bracket else head
        if not isinstance(members, dict) or key in members:
            raise ValueError(f"{name} is given twice")
        members[key] = int(value) if name == "amount" and value.isdigit() else value
    if isinstance(document.get("expand"), dict):
        document["expand"] = list(document["expand"].values())
    return document


def _grouped(query: Mapping[str, Sequence[str]]) -> dict[str, list[Any]]:
    """Parameters of Stripe's nesting put together: ``created[gte]``, ``expand[0]``."""
    grouped: dict[str, list[Any]] = {}
    for name, values in query.items():
        head, bracket, below = name.partition("[")
        if head == "expand" and bracket:
            grouped.setdefault("expand[]", []).extend(values)
        elif head == "created" and bracket:
            created = grouped.setdefault(head, [{}])[0]
            created[below.removesuffix("]")] = [
                int(one) if re.fullmatch(r"\d+", one, re.ASCII) else one for one in values
            ][-1]
        else:
            grouped[name] = list(values)
    return grouped


def _stray_problems(exchange: Exchange) -> list[str]:
    """A path that the document does not have, or a method that a path does not have."""
    strays = {404: "NoSuchPath", 405: "MethodNotAllowed", 400: "MethodNotAllowed"}
    status = exchange.answer.status
    if status not in strays:
        return [f"{exchange.method} {exchange.path} is answered {status}"]
    told = document()["components"]["responses"][strays[status]]
    return _answer_problems({str(status): told}, exchange.answer)


def _problems_of_every_answer(answer: Answer) -> list[str]:
    """What the document says of all answers at once, for Stripe's SDKs."""
    headers = {name.lower(): value for name, value in answer.headers.items()}
    found = [] if headers.get("request-id") else ["no Request-Id"]
    if answer.status >= 400 and isinstance(answer.body, dict):
        code = answer.body.get("error", {}).get("code")
        again = answer.status == 429 or answer.status >= 500 or code in WORTH_REPEATING
        if headers.get("stripe-should-retry") != ("true" if again else "false"):
            found.append(f"Stripe-Should-Retry {headers.get('stripe-should-retry')}")
    return found


def _answer_problems(responses: Mapping[str, Any], answer: Answer) -> list[str]:
    response = responses.get(str(answer.status))
    if response is None:
        return [f"not documented: {answer.text[:500]}"]
    response = followed(response)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    media = response["content"].get(media_type)
    if media is None:
        return [f"an answer of {media_type or 'no type'}: {answer.text[:500]}"]
    return problems(media["schema"], answer.body) + _header_problems(response, headers)


def _header_problems(response: Mapping[str, Any], headers: Mapping[str, str]) -> list[str]:
    documented = {name: followed(each) for name, each in response.get("headers", {}).items()}
    unknown = (name for name in MEANT if name.lower() in headers and name not in documented)
    found = [f"{name} is not documented" for name in unknown]
    for name, header in documented.items():
        text = headers.get(name.lower())
        if text is None:
            found += [f"{name} is missing"] if header.get("required") else []
            continue
        value = _typed(text, header["schema"])
        found += [f"{name}: {problem}" for problem in problems(header["schema"], value)]
    return found


def _typed(text: Any, schema: Mapping[str, Any]) -> Any:
    """The text of a header or parameter as the type that the schema asks for, if it is one."""
    if not isinstance(text, str):
        return text
    kind = followed(schema).get("type")
    if kind == "integer" and re.fullmatch(r"-?\d+", text, re.ASCII):
        return int(text)
    if kind == "boolean" and text in ("true", "false"):
        return text == "true"
    return text


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", path))


@cache
def _validator(schema: str) -> jsonschema_rs.Validator:
    # A schema may name its own definitions, and those of the document.
    whole = {**json.loads(schema), "components": document()["components"]}
    return jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
