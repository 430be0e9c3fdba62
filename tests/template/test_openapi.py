"""The gateway's part of the OpenAPI document: it leads to every operation, and what it answers by
itself is documented there.
"""

import json
from typing import Any

from tests.openapi.document import Operation, document, followed, operations, problems
from tests.template.expansion import Expanded, expand

# Whatever is asked, the gateway may answer so.
EVERYWHERE = ("429", "500", "502", "504")
# And so where it wants to know who calls.
WHERE_A_CALLER_IS_ASKED_FOR = ("401", "403", "404")
NOT_CHECKED_BY_THE_GATEWAY = {"hitPaySignature"}


def body_of(template: Expanded) -> dict[str, Any]:
    """The gateway's own description of the API."""
    body: dict[str, Any] = template.properties("RestApi")["Body"]
    return body


def own_answers(template: Expanded) -> list[tuple[str, Any, dict[str, str]]]:
    """Each answer of the gateway itself that has a status: that, its body and its headers."""
    told = []
    for answer in body_of(template)["x-amazon-apigateway-gateway-responses"].values():
        if "statusCode" in answer:
            text = answer["responseTemplates"]["application/json"]
            prefix = "gatewayresponse.header."
            headers = {
                name.removeprefix(prefix): value.strip("'")
                for name, value in answer.get("responseParameters", {}).items()
            }
            body = json.loads(text.replace("$context.requestId", "8f5d1c9e"))
            told.append((str(answer["statusCode"]), body, headers))
    return told


def asks_for_a_caller(operation: Operation) -> bool:
    """Whether the gateway, in some stage, wants to know who calls the operation."""
    named = {name for choice in operation.definition["security"] for name in choice}
    return bool(named - NOT_CHECKED_BY_THE_GATEWAY)


def answer_problems(template: Expanded) -> list[str]:
    """Where the gateway's own answers are not those of the document."""
    found = []
    for operation in operations():
        responses = operation.definition["responses"]
        needed = {*EVERYWHERE}
        if asks_for_a_caller(operation):
            needed |= {*WHERE_A_CALLER_IS_ASKED_FOR}
        found += [f"{operation.name} has no {status}" for status in needed - set(responses)]
        for status, body, headers in own_answers(template):
            if status not in responses or (status == "401" and not asks_for_a_caller(operation)):
                continue
            response = followed(responses[status])
            schema = response["content"]["application/json"]["schema"]
            found += [f"{operation.name} {status}: {each}" for each in problems(schema, body)]
            found += [
                f"{operation.name} {status}: no {name}"
                for name, header in response.get("headers", {}).items()
                if followed(header).get("required") and name not in headers
            ]
    return found


def test_what_the_gateway_answers_by_itself_is_documented(template: Expanded) -> None:
    assert answer_problems(template) == []


def test_and_so_it_is_where_callers_sign_their_requests() -> None:
    assert answer_problems(expand("production", ApiAuth="AWS_IAM")) == []


def test_the_check_notices_an_answer_of_another_form(to_break: Expanded) -> None:
    answers = body_of(to_break)["x-amazon-apigateway-gateway-responses"]
    for answer in answers.values():
        answer["responseTemplates"]["application/json"] = '{"message": "no"}'
    assert answer_problems(to_break)


def test_the_gateway_leads_to_every_documented_operation(template: Expanded) -> None:
    routes = body_of(template)["paths"]
    for operation in operations():
        proxied = "/v1/{proxy+}" if operation.path.startswith("/v1/") else operation.path
        assert operation.method in routes.get(operation.path, routes[proxied]), operation.name


def test_the_gateway_knows_a_path_that_is_answered_without_a_key(template: Expanded) -> None:
    # With a key at every other route, what is open to everybody needs a route of its own.
    open_to_all = [operation for operation in operations() if not operation.definition["security"]]
    assert [operation.path for operation in open_to_all] == ["/v1/openapi.json", "/health"]
    assert {operation.path for operation in open_to_all} <= set(body_of(template)["paths"])


def test_no_error_code_of_the_gateway_is_unknown_to_the_document(template: Expanded) -> None:
    known = document()["components"]["schemas"]["ErrorCode"]["enum"]
    assert {body["error"]["code"] for _, body, _ in own_answers(template)} <= set(known)
