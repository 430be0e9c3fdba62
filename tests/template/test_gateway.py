"""Rules 7 and 8 of AWS: the REST API, its routes, limits and its own error answers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.template.expansion import Expanded, expand

API = "RestApi"
METHODS = {"get", "post", "put", "patch", "delete"}
ROUTES = {"/health": {"get"}, "/v1/{proxy+}": METHODS}
# The answers that the gateway gives by itself, and what the contract calls each of them.
CODES = {
    "UNAUTHORIZED": (401, "unauthorized"),
    "ACCESS_DENIED": (403, "forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "THROTTLED": (429, "rate_limited"),
    "QUOTA_EXCEEDED": (429, "rate_limited"),
    "REQUEST_TOO_LARGE": (413, "payload_too_large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "INTEGRATION_TIMEOUT": (504, "gateway_timeout"),
    "INTEGRATION_FAILURE": (502, "gateway_error"),
    "DEFAULT_4XX": (None, "invalid_request"),
    "DEFAULT_5XX": (None, "gateway_error"),
}
MAY_HAVE_EXECUTED = ("INTEGRATION_TIMEOUT", "INTEGRATION_FAILURE", "DEFAULT_5XX")


def _body(template: Expanded) -> dict[str, Any]:
    body: dict[str, Any] = template.properties(API)["Body"]
    return body


def _answers(template: Expanded) -> dict[str, Any]:
    answers: dict[str, Any] = _body(template)["x-amazon-apigateway-gateway-responses"]
    return answers


def _settings(template: Expanded) -> dict[str, Any]:
    settings: dict[str, Any] = template.properties("RestApiStage")["MethodSettings"][0]
    return settings


def stage_problems(template: Expanded) -> list[str]:
    """Rule 7: one regional stage, throttled on every route, that never logs a body."""
    problems = []
    if template.properties(API).get("EndpointConfiguration") != {"Types": ["REGIONAL"]}:
        problems.append("not regional")
    stages = [name for name, _ in template.of_type("AWS::ApiGateway::Stage")]
    if stages != ["RestApiStage"]:
        problems.append(f"stages {stages}")
    deployments = template.of_type("AWS::ApiGateway::Deployment")
    problems += [f"{n} makes a second stage" for n, p in deployments if "StageName" in p]
    settings = _settings(template)
    if (settings["ResourcePath"], settings["HttpMethod"]) != ("/*", "*"):
        problems.append("settings are not those of all routes")
    limits = ("ThrottlingRateLimit", "ThrottlingBurstLimit")
    problems += [f"no {limit}" for limit in limits if not int(settings.get(limit) or 0) > 0]
    if settings.get("DataTraceEnabled") is not False:
        problems.append("bodies may be logged")
    return problems


def answer_problems(template: Expanded) -> list[str]:
    """Rule 8: render each of the gateway's own answers and hold it against the contract."""
    answers = _answers(template)
    problems = [f"{kind} is missing" for kind in CODES if kind not in answers]
    problems += [f"{kind} is not known to this test" for kind in answers if kind not in CODES]
    for kind in CODES.keys() & answers.keys():
        problems += [f"{kind}: {problem}" for problem in _one_answer(kind, answers[kind])]
    return problems


def _one_answer(kind: str, answer: dict[str, Any]) -> list[str]:
    status, code = CODES[kind]
    problems = []
    if answer.get("statusCode") != (None if status is None else str(status)):
        problems.append(f"status {answer.get('statusCode')}")
    templates = answer["responseTemplates"]
    if list(templates) != ["application/json"]:
        return [*problems, f"templates for {list(templates)}"]
    rendered = templates["application/json"].replace("$context.requestId", "8f5d1c9e")
    if "$" in rendered:
        problems.append("a variable that is not JSON-safe")
    try:
        body = json.loads(rendered)
    except ValueError:
        return [*problems, f"not JSON: {rendered}"]
    error = body.get("error", {})
    if list(body) != ["error"] or set(error) != {"code", "message", "details", "request_id"}:
        return [*problems, f"not the contract's shape: {body}"]
    outcome = {"outcome": "unknown"} if kind in MAY_HAVE_EXECUTED else {}
    if (error["code"], error["request_id"], error["details"]) != (code, "8f5d1c9e", outcome):
        problems.append(f"says {error}")
    if not error["message"]:
        problems.append("no message")
    if status == 429 and "Retry-After" not in str(answer.get("responseParameters")):
        problems.append("no Retry-After")
    return problems


def route_problems(template: Expanded) -> list[str]:
    """Rule 8: the function itself answers for every path under /v1; the gateway judges nothing."""
    body = _body(template)
    routes = {path: set(methods) for path, methods in body["paths"].items()}
    problems = [] if routes == ROUTES else [f"routes {routes}"]
    if not str(body.get("openapi", "")).startswith("3.0"):
        problems.append("not OpenAPI 3.0")
    foreign = ("x-amazon-apigateway-request-validators", "x-amazon-apigateway-binary-media-types")
    problems += [name for name in foreign if name in body]
    if "BinaryMediaTypes" in template.properties(API):
        problems.append("binary media types")
    if body.get("components", {}).get("schemas"):
        problems.append("models")
    return problems


def test_rule_7_one_regional_throttled_stage_without_data_trace(template: Expanded) -> None:
    assert stage_problems(template) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.properties(API).pop("EndpointConfiguration"),
        lambda t: t.resources.update(Extra=t.resources["RestApiStage"]),
        lambda t: _settings(t).pop("ThrottlingRateLimit"),
        lambda t: _settings(t).update(ThrottlingBurstLimit=0),
        lambda t: _settings(t).update(DataTraceEnabled=True),
        lambda t: _settings(t).update(ResourcePath="/v1"),
        lambda t: next(p for _, p in t.of_type("AWS::ApiGateway::Deployment")).update(
            StageName="Stage"
        ),
    ],
)
def test_rule_7_its_check_notices(to_break: Expanded, breaking: Callable[[Any], Any]) -> None:
    breaking(to_break)
    assert stage_problems(to_break)


def test_rule_7_access_logs_only_with_the_accounts_role(template: Expanded) -> None:
    assert "AccessLogSetting" not in template.properties("RestApiStage")
    assert not list(template.of_type("AWS::ApiGateway::Account"))


def test_rule_7_and_with_it_the_role_is_set_before_the_stage_wants_to_log() -> None:
    asked = expand("production", ManageApiGatewayAccount="true")
    stage = asked.properties("RestApiStage")
    assert stage["AccessLogSetting"]["DestinationArn"] == "AccessLogs.Arn"
    assert asked.resources["AccessLogs"]["DependsOn"] == "GatewayAccount"
    logged = stage["AccessLogSetting"]["Format"]
    assert "requestId" in logged
    assert not any(word in logged for word in ("body", "Authorization", "header", "sourceIp"))


def test_rule_8_the_gateways_own_answers_have_the_contracts_shape(template: Expanded) -> None:
    assert answer_problems(template) == []


def _template_of(answer: dict[str, Any], text: str) -> None:
    answer["responseTemplates"]["application/json"] = text


@pytest.mark.parametrize(
    "breaking",
    [
        lambda answers: answers.pop("THROTTLED"),
        lambda answers: answers["THROTTLED"].pop("responseParameters"),
        lambda answers: answers["DEFAULT_5XX"].update(statusCode="500"),
        lambda answers: answers["UNAUTHORIZED"].update(statusCode="403"),
        lambda answers: answers.update(NEW={}),
        lambda answers: _template_of(answers["DEFAULT_4XX"], '{"message": "no"}'),
        lambda answers: _template_of(answers["DEFAULT_4XX"], '{"error": '),
        lambda answers: _template_of(answers["DEFAULT_4XX"], '{"e": "$context.error.message"}'),
        lambda answers: _template_of(
            answers["INTEGRATION_TIMEOUT"],
            '{"error":{"code":"gateway_timeout","message":"m","details":{},'
            '"request_id":"$context.requestId"}}',
        ),
    ],
)
def test_rule_8_its_check_notices(to_break: Expanded, breaking: Callable[[Any], Any]) -> None:
    breaking(_answers(to_break))
    assert answer_problems(to_break)


def test_rule_8_the_function_sees_every_method_under_v1(template: Expanded) -> None:
    assert route_problems(template) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda body: body["paths"]["/v1/{proxy+}"].pop("delete"),
        lambda body: body["paths"].update({"/v1/refunds": {"post": {}}}),
        lambda body: body.update(swagger="2.0", openapi=None),
        lambda body: body.update({"x-amazon-apigateway-binary-media-types": ["*/*"]}),
        lambda body: body.update(components={"schemas": {"Refund": {}}}),
    ],
)
def test_rule_8_the_check_of_routes_notices(
    to_break: Expanded, breaking: Callable[[Any], Any]
) -> None:
    breaking(_body(to_break))
    assert route_problems(to_break)
