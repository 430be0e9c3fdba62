"""Rules 7, 8 and 9 of AWS: the REST API, its routes, limits, callers and own error answers."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from deployed.stages import stage_names
from local.http_client import Answer, Exchange
from tests.openapi.document import exchange_problems
from tests.template.expansion import PSEUDO_PARAMETERS, Expanded, expand, source

API = "RestApi"
METHODS = {"get", "post", "put", "patch", "delete"}
ROUTES = {
    "/health": {"get"},
    "/v1/openapi.json": METHODS,
    "/v1/webhooks/hitpay": METHODS,
    "/v1/{proxy+}": METHODS,
}
# Whoever calls these says by other means who it is, or need not say it.
OPEN = {("/health", "get"), ("/v1/openapi.json", "get"), ("/v1/webhooks/hitpay", "post")}
OPEN_READS = [("/~1health", "GET"), ("/~1v1~1openapi.json", "GET")]
WEB_ACL = "arn:aws:wafv2:ap-southeast-1:111122223333:regional/webacl/shop/1234"
WEBHOOK = ("/~1v1~1webhooks~1hitpay", "POST")
# The answers that the gateway gives by itself, all kinds that there are, and what the contract
# calls each: https://docs.aws.amazon.com/apigateway/latest/developerguide/
# supported-gateway-response-types.html
CODES = {
    "BAD_REQUEST_BODY": (400, "invalid_request"),
    "BAD_REQUEST_PARAMETERS": (400, "invalid_request"),
    "UNAUTHORIZED": (401, "unauthorized"),
    "ACCESS_DENIED": (403, "forbidden"),
    "EXPIRED_TOKEN": (403, "forbidden"),
    "INVALID_API_KEY": (403, "forbidden"),
    "INVALID_SIGNATURE": (403, "forbidden"),
    "WAF_FILTERED": (403, "forbidden"),
    "MISSING_AUTHENTICATION_TOKEN": (404, "not_found"),
    "RESOURCE_NOT_FOUND": (404, "not_found"),
    "THROTTLED": (429, "rate_limited"),
    "QUOTA_EXCEEDED": (429, "rate_limited"),
    "REQUEST_TOO_LARGE": (413, "payload_too_large"),
    "UNSUPPORTED_MEDIA_TYPE": (415, "unsupported_media_type"),
    "INTEGRATION_TIMEOUT": (504, "gateway_timeout"),
    "INTEGRATION_FAILURE": (502, "gateway_error"),
    "API_CONFIGURATION_ERROR": (500, "internal_error"),
    "AUTHORIZER_CONFIGURATION_ERROR": (500, "internal_error"),
    "AUTHORIZER_FAILURE": (500, "internal_error"),
    "DEFAULT_4XX": (None, "invalid_request"),
    "DEFAULT_5XX": (None, "gateway_error"),
}
# What an answer of no status of its own may be given with.
DEFAULT_STATUSES = {"DEFAULT_4XX": 400, "DEFAULT_5XX": 500}
HEADER = "gatewayresponse.header."
REQUEST_ID = "8f5d1c9e-2b1f-4c0e-9d0a-6f3b7a1c2d3e"


def _body(template: Expanded) -> dict[str, Any]:
    body: dict[str, Any] = template.properties(API)["Body"]
    return body


def _answers(template: Expanded) -> dict[str, Any]:
    answers: dict[str, Any] = _body(template)["x-amazon-apigateway-gateway-responses"]
    return answers


def _settings(template: Expanded) -> dict[str, Any]:
    """The settings of all routes."""
    settings: dict[str, Any] = template.properties("RestApiStage")["MethodSettings"][0]
    return settings


def _webhook_settings(template: Expanded) -> dict[str, Any]:
    settings: dict[str, Any] = template.properties("RestApiStage")["MethodSettings"][1]
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
    listed = template.properties("RestApiStage")["MethodSettings"]
    where = [(settings["ResourcePath"], settings["HttpMethod"]) for settings in listed]
    if where != [("/*", "*"), WEBHOOK, *OPEN_READS]:
        return [*problems, f"settings of {where}"]
    for settings in listed:
        # Those of one method replace those of all, so each says everything.
        limits = ("ThrottlingRateLimit", "ThrottlingBurstLimit")
        problems += [f"no {limit}" for limit in limits if not int(settings.get(limit) or 0) > 0]
        if settings.get("DataTraceEnabled") is not False:
            problems.append("bodies may be logged")
        if settings.get("MetricsEnabled") is not False:
            problems.append("calls are counted by method too, each of which is billed")
    return problems


def webhook_limit_problems(template: Expanded) -> list[str]:
    """Rule 7: what anybody may send is throttled before it takes the callers' share."""
    of_all, of_webhook = _settings(template), _webhook_settings(template)
    limits = ("ThrottlingRateLimit", "ThrottlingBurstLimit")
    open_ones = [of_webhook, *template.properties("RestApiStage")["MethodSettings"][2:]]
    return [
        f"{limit} of {one['ResourcePath']} not lower"
        for one in open_ones
        for limit in limits
        if not int(one[limit]) < int(of_all[limit])
    ]


def web_acl_problems(template: Expanded) -> list[str]:
    """Rule 7: the web ACL that is named, or made for the rate, stands in front of the stage."""
    associations = dict(template.of_type("AWS::WAFv2::WebACLAssociation"))
    acls = dict(template.of_type("AWS::WAFv2::WebACL"))
    named, rate = (template.parameters[name] for name in ("WebAclArn", "RequestsPerAddress"))
    if not named and not rate:
        return [*associations, *acls]
    problems = [] if len(associations) == 1 else ["nothing stands in front"]
    for association in associations.values():
        if association["WebACLArn"] != (named or "RateByAddress.Arn"):
            problems.append("another web ACL stands in front")
        if not association["ResourceArn"].endswith("::/restapis/RestApi/stages/RestApiStage"):
            problems.append("it stands in front of something else")
    if rate:
        (rule,) = acls["RateByAddress"]["Rules"]
        if (
            rule["Statement"]["RateBasedStatement"]["Limit"] != rate
            or "Block" not in rule["Action"]
        ):
            problems.append("nobody is turned away")
        if rule["VisibilityConfig"]["SampledRequestsEnabled"] is not False:
            problems.append("samples of requests keep keys")
    return problems


@pytest.mark.parametrize(
    "given",
    [{}, {"WebAclArn": WEB_ACL}, {"RequestsPerAddress": "300"}],
    ids=["none", "arn", "rate"],
)
def test_rule_7_a_web_acl_stands_in_front_if_one_is_asked_for(given: dict[str, str]) -> None:
    assert web_acl_problems(expand("production", **given)) == []


@pytest.mark.parametrize(
    "breaking",
    [
        lambda t: t.resources.pop("RateByAddressAssociation"),
        lambda t: t.properties("RateByAddressAssociation").update(WebACLArn=WEB_ACL),
        lambda t: t.properties("RateByAddressAssociation").update(ResourceArn="arn:of:another"),
        lambda t: t.properties("RateByAddress")["Rules"][0].update(Action={"Count": {}}),
    ],
)
def test_rule_7_and_the_check_of_it_notices(breaking: Callable[[Any], Any]) -> None:
    to_break = expand("production", RequestsPerAddress="300")
    breaking(to_break)
    assert web_acl_problems(to_break)


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
    rendered = templates["application/json"].replace("$context.requestId", REQUEST_ID)
    if "$" in rendered:
        problems.append("a variable that is not JSON-safe")
    try:
        exchange = _exchange(status or DEFAULT_STATUSES[kind], _headers(answer), rendered)
    except ValueError:
        return [*problems, f"not JSON: {rendered}"]
    if found := exchange_problems(exchange):
        return [*problems, *found]
    error = exchange.answer.body["error"]
    if (error["code"], error["request_id"]) != (code, REQUEST_ID):
        problems.append(f"says {error}")
    # Whatever the gateway cannot vouch for must be repeated with the same key.
    unknown = exchange.answer.status >= 500
    if error["details"] != ({"outcome": "unknown"} if unknown else {}):
        problems.append(f"details {error['details']}")
    if exchange.answer.status == 401 and "WWW-Authenticate" not in exchange.answer.headers:
        problems.append("no WWW-Authenticate")
    return problems


def _headers(answer: dict[str, Any]) -> dict[str, str]:
    """The headers of an answer; a text of the template stands in single quotes there."""
    mapped = {"Content-Type": "'application/json'"}
    for name, text in answer.get("responseParameters", {}).items():
        mapped[name.removeprefix(HEADER)] = text
    known = {name: text[1:-1] for name, text in mapped.items() if text[0] == text[-1] == "'"}
    variables = {name: REQUEST_ID for name, text in mapped.items() if text == "context.requestId"}
    return known | variables


def _exchange(status: int, headers: dict[str, str], body: str) -> Exchange:
    """The answer to a call that could have got it: one that is on no route gets 404."""
    return Exchange(
        method="POST",
        path="/nowhere" if status == 404 else "/v1/refunds",
        headers={"Content-Type": "application/json"},
        body=b'{"payment_record": "pr_1", "refund_id": "one"}',
        answer=Answer(status, headers, json.loads(body), body),
    )


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


def caller_problems(template: Expanded) -> list[str]:
    """Rule 9: the gateway checks signatures on every route but the open ones, or nothing at all."""
    signed = {"AWS_IAM"} if template.parameters["ApiAuth"] == "AWS_IAM" else set[str]()
    problems = []
    for path, methods in _body(template)["paths"].items():
        for method, definition in methods.items():
            wanted = set[str]() if (path, method) in OPEN else signed
            checked = {name for each in definition.get("security", ()) for name in each}
            if checked - {"NONE"} != wanted:
                problems.append(f"{method} {path} is checked by {checked or 'nobody'}")
            if "credentials" in definition["x-amazon-apigateway-integration"]:
                problems.append(f"{method} {path} calls the function as its caller")
    schemes = _body(template).get("components", {}).get("securitySchemes", {})
    kinds = {each["x-amazon-apigateway-authtype"] for each in schemes.values()}
    return problems if kinds == ({"awsSigv4"} if signed else set()) else [*problems, f"{schemes}"]


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
        lambda t: _webhook_settings(t).update(DataTraceEnabled=True),
        lambda t: _webhook_settings(t).pop("MetricsEnabled"),
        lambda t: _webhook_settings(t).pop("ThrottlingRateLimit"),
        lambda t: _webhook_settings(t).update(ResourcePath="/v1/webhooks/hitpay"),
        lambda t: t.properties("RestApiStage")["MethodSettings"].pop(),
        lambda t: next(p for _, p in t.of_type("AWS::ApiGateway::Deployment")).update(
            StageName="Stage"
        ),
    ],
)
def test_rule_7_its_check_notices(to_break: Expanded, breaking: Callable[[Any], Any]) -> None:
    breaking(to_break)
    assert stage_problems(to_break)


def test_rule_7_webhooks_are_throttled_lower(template: Expanded) -> None:
    assert webhook_limit_problems(template) == []


@pytest.mark.parametrize("limit", ["ThrottlingRateLimit", "ThrottlingBurstLimit"])
def test_rule_7_and_its_check_notices(to_break: Expanded, limit: str) -> None:
    _webhook_settings(to_break)[limit] = _settings(to_break)[limit]
    assert webhook_limit_problems(to_break)


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
    assert not any(word in logged for word in ("body", "Authorization", "header"))
    # And who it was is told, and from where
    assert {"$context.identity.sourceIp", "$context.identity.userArn"} <= set(logged.split('"'))


def test_who_asked_for_what_is_known_after_the_stack_and_not_for_ever() -> None:
    # Given a stage with access logs
    asked = expand("production", ManageApiGatewayAccount="true", LogRetentionDays="30")
    logs = asked.resources["AccessLogs"]
    # Then neither the stack's end nor another name of theirs takes them away
    assert (logs["DeletionPolicy"], logs["UpdateReplacePolicy"]) == ("Retain", "Retain")
    # And a stack of the same name that is made anew does not meet them
    own = str(PSEUDO_PARAMETERS["AWS::StackId"]).rpartition("/")[2]
    assert own in logs["Properties"]["LogGroupName"]
    # And they end when they are old
    assert logs["Properties"]["RetentionInDays"] == "30"


def test_rule_8_the_gateways_own_answers_have_the_contracts_shape(template: Expanded) -> None:
    assert answer_problems(template) == []


def test_rule_8_an_unsigned_request_learns_that_it_is_not_signed() -> None:
    signed = expand("production", ApiAuth="AWS_IAM")
    assert answer_problems(signed) == []
    kind = _answers(signed)["MISSING_AUTHENTICATION_TOKEN"]
    assert "not signed" in kind["responseTemplates"]["application/json"]


def _template_of(answer: dict[str, Any], text: str) -> None:
    answer["responseTemplates"]["application/json"] = text


@pytest.mark.parametrize(
    "breaking",
    [
        lambda answers: answers.pop("THROTTLED"),
        lambda answers: answers["THROTTLED"].pop("responseParameters"),
        lambda answers: answers["UNAUTHORIZED"].pop("responseParameters"),
        lambda answers: answers["QUOTA_EXCEEDED"]["responseParameters"].update(
            {f"{HEADER}Retry-After": "'soon'"}
        ),
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


@pytest.mark.parametrize("stage", stage_names())
@pytest.mark.parametrize("auth", ["bearer", "AWS_IAM"])
def test_rule_9_the_gateway_checks_signatures_if_that_is_asked_for(stage: str, auth: str) -> None:
    template = expand(stage, ApiAuth=auth)
    assert caller_problems(template) == []
    assert template.environment("RefundApiFunction")["API_AUTH"] == auth


@pytest.mark.parametrize(
    ("auth", "breaking"),
    [
        ("AWS_IAM", lambda paths: paths["/v1/{proxy+}"]["post"].pop("security")),
        ("AWS_IAM", lambda paths: paths["/health"]["get"].update(security=[{"AWS_IAM": []}])),
        ("bearer", lambda paths: paths["/v1/{proxy+}"]["get"].update(security=[{"AWS_IAM": []}])),
        (
            "AWS_IAM",
            lambda paths: paths["/v1/{proxy+}"]["get"]["x-amazon-apigateway-integration"].update(
                credentials="arn:aws:iam::*:user/*"
            ),
        ),
    ],
)
def test_rule_9_its_check_notices(auth: str, breaking: Callable[[Any], Any]) -> None:
    template = expand("sandbox", ApiAuth=auth)
    breaking(_body(template)["paths"])
    assert caller_problems(template)


def test_rule_9_another_word_for_it_would_leave_the_gateway_open_without_an_error() -> None:
    # Why the parameter has SAM's own word and the template refuses any other.
    assert caller_problems(expand("sandbox", ApiAuth="iam")) == []
    allowed = source()["Parameters"]["ApiAuth"]["AllowedValues"]
    assert allowed == ["bearer", "AWS_IAM"]


def test_a_name_of_your_own_leads_to_the_contracts_paths_without_a_stage() -> None:
    certificate = "arn:aws:acm:ap-southeast-1:111122223333:certificate/1"
    own = {"DomainName": "refunds.example.com", "CertificateArn": certificate}
    template = expand("production", **own, HostedZoneId="Z1")
    domain = template.properties("Domain")
    assert domain["RegionalCertificateArn"] == certificate
    assert domain["EndpointConfiguration"] == {"Types": ["REGIONAL"]}
    assert domain["SecurityPolicy"] == "TLS_1_2"
    assert template.properties("DomainMapping") == {
        "DomainName": "Domain",
        "RestApiId": API,
        "Stage": "RestApiStage",
    }
    assert template.properties("DomainAddress")["Name"] == "refunds.example.com"
    elsewhere = expand("production", **own)
    assert "DomainAddress" not in elsewhere.resources
    assert not {"Domain", "DomainMapping"} & expand("production").resources.keys()


def test_calls_are_counted_by_method_only_if_somebody_pays_for_it() -> None:
    listed = expand("production", DetailedMetrics="true").properties("RestApiStage")
    assert [settings["MetricsEnabled"] for settings in listed["MethodSettings"]] == [True] * 4
