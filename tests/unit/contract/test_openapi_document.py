"""The OpenAPI document by itself: valid, whole, closed, and true to its own examples."""

import copy
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import schemathesis

from local import openapi
from tests.openapi.document import Operation, document, followed, operations, problems

OPERATIONS = list(operations())
COMPONENTS = document()["components"]
# Answers that belong to no operation: their path, or their method, is not there.
STRAY = {"#/components/responses/NoSuchPath", "#/components/responses/MethodNotAllowed"}
# What others put into an object: metadata belongs to the caller.
OPEN = {"metadata"}

by_operation = pytest.mark.parametrize("operation", OPERATIONS, ids=lambda each: each.name)


def walked(node: Any) -> Iterator[Any]:
    """The node and everything in it."""
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from walked(child)


def references(node: Any) -> set[str]:
    """Everything that is referred to in the node."""
    return {each["$ref"] for each in walked(node) if isinstance(each, dict) and "$ref" in each}


def answers(operation: Operation) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each status of the operation with what JSON it may carry."""
    for status, response in operation.definition["responses"].items():
        yield status, followed(response)["content"]["application/json"]


def examples(media: Mapping[str, Any]) -> list[Any]:
    """The values of all examples."""
    return [followed(each)["value"] for each in media.get("examples", {}).values()]


def codes(media: Mapping[str, Any]) -> set[str]:
    """The error codes that an answer may carry."""
    schema = followed(media["schema"])
    choices = [followed(each) for each in schema.get("anyOf", [schema])]
    return {choice["properties"]["error"]["properties"]["code"]["const"] for choice in choices}


def test_it_is_a_valid_document_of_openapi_3_1() -> None:
    loaded = schemathesis.openapi.from_dict(copy.deepcopy(document()))
    loaded.validate()
    assert loaded.specification.version == "3.1.0"


def test_its_check_notices_what_is_not_valid() -> None:
    broken = copy.deepcopy(document())
    broken["paths"]["/health"]["get"]["responses"] = "none"
    with pytest.raises(Exception, match="none"):
        schemathesis.openapi.from_dict(broken).validate()


def test_the_copy_that_is_served_is_the_document() -> None:
    copied = openapi.COPY.read_text(encoding="utf-8")
    assert copied == openapi.as_json(document()), "run python -m local.openapi"


def test_every_reference_leads_somewhere_and_every_definition_is_used() -> None:
    # Given everything that paths refer to, directly or not
    used, found = set(STRAY), references(document()["paths"]) | STRAY
    while found:
        used |= found
        found = {each for one in found for each in references(followed({"$ref": one}))} - used
    # Then that is all there is
    defined = {
        f"#/components/{kind}/{name}"
        for kind, named in COMPONENTS.items()
        for name in named
        if kind != "securitySchemes"
    }
    assert used == defined


def test_operations_have_a_name_of_their_own_and_a_declared_tag() -> None:
    definitions = [operation.definition for operation in OPERATIONS]
    names = [definition["operationId"] for definition in definitions]
    assert len(set(names)) == len(names)
    declared = {tag["name"] for tag in document()["tags"]}
    assert {tag for definition in definitions for tag in definition["tags"]} == declared


def test_every_way_to_say_who_calls_is_defined_and_used() -> None:
    named = {
        name
        for operation in OPERATIONS
        for choice in operation.definition["security"]
        for name in choice
    }
    assert named == set(COMPONENTS["securitySchemes"])


@by_operation
def test_no_answer_is_documented_that_would_catch_all(operation: Operation) -> None:
    assert all(
        status.isdigit() and len(status) == 3 for status in operation.definition["responses"]
    )


@by_operation
def test_every_request_example_is_of_the_documented_form(operation: Operation) -> None:
    for parameter in map(followed, operation.definition.get("parameters", ())):
        if "example" in parameter:
            assert problems(parameter["schema"], parameter["example"]) == []
    body = operation.definition.get("requestBody", {"content": {}})
    for media in body["content"].values():
        assert examples(media)
        for value in examples(media):
            assert problems(media["schema"], value) == []


@by_operation
def test_every_answer_has_examples_of_the_documented_form(operation: Operation) -> None:
    for status, media in answers(operation):
        assert examples(media) or operation.path == "/v1/openapi.json", status
        for value in examples(media):
            assert problems(media["schema"], value) == [], status


@by_operation
def test_every_error_of_an_answer_has_an_example(operation: Operation) -> None:
    for status, media in answers(operation):
        if int(status) >= 400:
            shown = {value["error"]["code"] for value in examples(media)}
            # The gateway's own 500 is the same in every answer.
            assert shown == codes(media) - {"gateway_error"} or shown == codes(media), status


def test_the_error_codes_are_those_of_the_errors() -> None:
    named = {code for operation in OPERATIONS for status, media in answers(operation)
             if int(status) >= 400 for code in codes(media)}  # fmt: skip
    assert named | {"method_not_allowed"} == set(COMPONENTS["schemas"]["ErrorCode"]["enum"])


def with_one_member_more(value: Any) -> Iterator[Any]:
    """The value with an undocumented member in each of its objects in turn."""
    if isinstance(value, dict):
        yield {**value, "undocumented": 1}
        for name, child in value.items():
            if name not in OPEN:
                for changed in with_one_member_more(child):
                    yield {**value, name: changed}
    elif isinstance(value, list):
        for number, child in enumerate(value):
            for changed in with_one_member_more(child):
                yield [*value[:number], changed, *value[number + 1 :]]


@by_operation
def test_an_undocumented_member_of_an_answer_is_noticed(operation: Operation) -> None:
    for status, media in answers(operation):
        for value in examples(media):
            for changed in with_one_member_more(value):
                assert problems(media["schema"], changed), (status, json.dumps(changed))


@by_operation
def test_a_missing_member_of_an_answer_is_noticed(operation: Operation) -> None:
    for status, media in answers(operation):
        for value in examples(media):
            for name in value.keys() - {"late_failure"}:
                cut = {key: each for key, each in value.items() if key != name}
                assert problems(media["schema"], cut), (status, name)
