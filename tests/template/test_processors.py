"""Each processor's settings reach the functions that ask it, with the right to its key, and no
other."""

from typing import Any

import pytest

from deployed.secrets import PROCESSOR_KEYS
from refund_bridge.config import Mode
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, set_up, variable_of
from refundctl.processors import environment_of, parameter_of
from tests.template.expansion import Expanded, expand, refusals, source
from tests.template.test_permissions import permission_problems, rights_of

ASK_EVERY_PROCESSOR = (
    "RefundApiFunction",
    "RefundRequestedFunction",
    "ReportRefundFunction",
    "SettleRefundsFunction",
)
ASK_HITPAY_ALONE = ("HitPayWebhookFunction",)
# Where refunds that nobody told of are looked for: those that list theirs.
SWEEP = ("SweepChargesFunction",)
ASK_NONE = ("PublishEventsFunction",)
OTHERS = {
    "HyperswitchUrl": "https://sandbox.hyperswitch.io",
    "HedgeUrl": "https://api-sandbox.hedgepayments.com",
    "CcgUrl": "https://api-stg.uhg.com",
    "CcgMerchantId": "668d9077",
    "CcgAmountUnit": "minor",
    "StripePayments": "on",
}
LIVE = {
    "HyperswitchUrl": "https://api.hyperswitch.io",
    "HedgeUrl": "https://api.hedgepayments.com",
    "CcgUrl": "https://api.uhg.com",
}


# Every setting of every processor: the processor's name, the setting's, and what it is.
SETTINGS: list[tuple[str, str, Any]] = [
    (name, field, about)
    for name, adapter in REGISTRY.items()
    for field, about in adapter.settings_form.model_fields.items()
]


@pytest.mark.parametrize(("name", "field", "about"), SETTINGS)
def test_every_setting_is_a_parameter_that_may_be_left_out_as_in_the_code(
    name: str, field: str, about: Any
) -> None:
    declared = source()["Parameters"][parameter_of(name, field)]
    default = "" if about.is_required() or about.default is None else str(about.default)
    if parameter_of(name, field) in ("HitPayUrl", "StripeUrl"):
        assert "Default" not in declared  # every stage says it
    else:
        assert str(declared["Default"]) == default


@pytest.mark.parametrize("function", ASK_EVERY_PROCESSOR)
def test_who_moves_money_is_told_of_every_processor(function: str) -> None:
    template = expand("sandbox", **OTHERS)
    variables = template.environment(function)
    told = {variable_of(name, field) for name, field, _ in SETTINGS}
    assert told <= variables.keys()
    assert list(set_up(variables, Mode.TEST)) == list(REGISTRY)
    given = environment_of(template.parameters)
    assert {name: str(variables[name]) for name in told} == given


@pytest.mark.parametrize("function", [*ASK_HITPAY_ALONE, *SWEEP, *ASK_NONE])
def test_nobody_else_is_told_of_those_that_it_does_not_ask(function: str) -> None:
    variables = expand("sandbox", **OTHERS).environment(function)
    asked = [] if function in ASK_NONE else ["hitpay"]
    asked += ["stripe"] if function in SWEEP else []
    assert list(set_up(variables, Mode.TEST)) == asked


@pytest.mark.parametrize("function", [*ASK_EVERY_PROCESSOR, *SWEEP])
def test_nothing_is_refunded_at_stripe_unless_the_stage_says_so(function: str) -> None:
    assert source()["Parameters"]["StripePayments"]["Default"] == "off"
    for stage in ("sandbox", "production"):
        assert "stripe" not in set_up(
            expand(stage).environment(function), Mode(expand(stage).parameters["Mode"])
        )
    given = expand("sandbox", StripePayments="on").environment(function)
    assert given["STRIPE_PAYMENTS_URL"] == given["STRIPE_URL"]


@pytest.mark.parametrize("function", ASK_EVERY_PROCESSOR)
def test_all_that_a_function_is_told_fits_into_its_environment(function: str) -> None:
    # Lambda takes 4 KB of names and values; the addresses of queues and buses take their part.
    long = dict.fromkeys(("HyperswitchUrl", "HedgeUrl", "CcgUrl"), "https://" + "x" * 100)
    more = {"CcgMerchantId": "m" * 64, "CcgUpstreamEnv": "e" * 16}
    variables = expand("sandbox", **(OTHERS | long | more)).environment(function)
    queues = 4 * 100
    assert sum(len(name) + len(str(value)) for name, value in variables.items()) + queues < 4096


def keys(template: Expanded, function: str) -> set[str]:
    """The providers' keys that a function may read."""
    rights = rights_of(template, function).get("ssm:GetParameters", [])
    return {name.removeprefix("secret:") for name in rights} - {"hitpay-webhook-salts"}


def test_a_key_may_be_read_by_whoever_asks_its_processor_where_it_is_set_up() -> None:
    every = {"stripe-secret-key", *(adapter.secret for adapter in REGISTRY.values())}
    for function in ASK_EVERY_PROCESSOR:
        assert keys(expand("sandbox", **OTHERS), function) == every
        assert keys(expand("sandbox"), function) == {"stripe-secret-key", "hitpay-api-key"}
        only = expand("sandbox", HitPayUrl="", HedgeUrl=OTHERS["HedgeUrl"])
        assert keys(only, function) == {"stripe-secret-key", "hedge-api-key"}
    for function in (*ASK_HITPAY_ALONE, *SWEEP):
        every = {"stripe-secret-key", "hitpay-api-key"}
        assert keys(expand("sandbox", **OTHERS), function) == every


def test_with_all_of_them_the_rights_are_those_of_the_table() -> None:
    assert permission_problems(expand("sandbox", **OTHERS)) == []


def test_what_the_deploy_command_asks_for_is_what_the_functions_read() -> None:
    # Stripe's is asked for in every stage.
    read = {parameter_of(name, "url"): REGISTRY[name].secret for name in OF_RECORDS}
    assert read == PROCESSOR_KEYS


def test_a_stage_without_any_processor_is_refused() -> None:
    assert refusals("sandbox", HitPayUrl="")
    for name in ("HyperswitchUrl", "HedgeUrl"):
        assert refusals("sandbox", HitPayUrl="", **{name: OTHERS[name]}) == []
    assert refusals("sandbox", HitPayUrl="", **OTHERS) == []
    assert refusals("sandbox", HitPayUrl="", StripePayments="on") == []


@pytest.mark.parametrize("left_out", ["CcgMerchantId", "CcgAmountUnit"])
def test_the_gateway_is_refused_as_long_as_its_amounts_may_mean_anything(left_out: str) -> None:
    assert refusals("sandbox", **OTHERS) == []
    assert refusals("sandbox", **(OTHERS | {left_out: ""}))
    assert refusals("sandbox", **{left_out: ""}) == []


@pytest.mark.parametrize("name", LIVE)
def test_the_template_refuses_a_mix_of_real_and_play_money(name: str) -> None:
    ccg = {"CcgMerchantId": "m", "CcgAmountUnit": "minor"}
    assert refusals("sandbox", **ccg, **{name: LIVE[name]})
    assert refusals("production", **ccg, **{name: OTHERS[name]})
    assert refusals("production", **ccg, **LIVE) == []
