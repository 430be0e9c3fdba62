"""A handler that is run outside has the variables that the template gives it."""

import pytest

from benchmarks.function_environment import function_environment, function_memory_mb
from deployed import paths
from deploying.template_yaml import read_template

FUNCTIONS = [
    name
    for name, resource in read_template(paths.TEMPLATE)["Resources"].items()
    if resource["Type"] == "AWS::Serverless::Function"
]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_one_without_references(name: str) -> None:
    found = function_environment(name, {})
    assert found
    assert not [value for value in found.values() if "${" in value or value.startswith("{")]


def test_resources_have_the_names_that_are_given() -> None:
    found = function_environment(
        "RefundApiFunction", {"Ledger": "a-table", "StripeUrl": "http://x"}
    )
    assert found["LEDGER_TABLE"] == "a-table"
    assert found["STRIPE_URL"] == "http://x"


def test_memory_is_that_of_the_templates_parameters() -> None:
    declared = read_template(paths.TEMPLATE)["Parameters"]
    assert function_memory_mb("RefundApiFunction") == declared["RefundApiMemory"]["Default"]
    others = {function_memory_mb(name) for name in FUNCTIONS if name != "RefundApiFunction"}
    assert others == {declared["BackgroundMemory"]["Default"]}


def test_parameters_have_the_values_of_production() -> None:
    # The local stage remembers secrets for 5 s, so that a rotation is seen while one watches.
    assert function_environment("RefundApiFunction", {})["SECRETS_CACHE_SECONDS"] == "60"
