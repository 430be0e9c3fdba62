"""A form stands for one document, or is refused with the name of what is wrong in it."""

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refund_bridge.contract.documents import FORM, JSON, parse_document, parse_json
from refund_bridge.contract.form import parse_form
from refund_bridge.contract.requests import validate_body
from refund_bridge.domain.errors import InvalidRequestError, UnsupportedMediaTypeError

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
NAME = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="[]"), min_size=1, max_size=20
)
BODIES = st.fixed_dictionaries(
    {"payment_intent": st.just("pi_1")},
    optional={
        "amount": st.integers(1, 10**12 - 1),
        "currency": st.sampled_from(["sgd", "SGD"]),
        "reason": TEXT.filter(bool),
        "metadata": st.dictionaries(NAME, TEXT, min_size=1, max_size=5),
        "refund_type": st.sampled_from(["instant", "scheduled"]),
        "refund_id": st.just("order-1007"),
        "expand": st.lists(st.sampled_from(["charge", "balance_transaction"]), min_size=1),
    },
)


def pairs_of(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The pairs of a body, as Stripe's SDKs nest them."""
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        if isinstance(value, dict):
            pairs += [(f"{name}[{key}]", text) for key, text in value.items()]
        elif isinstance(value, list):
            pairs += [(f"{name}[{place}]", text) for place, text in enumerate(value)]
        else:
            pairs.append((name, str(value)))
    return pairs


@given(BODIES, st.randoms(), st.booleans())
def test_a_form_and_json_are_one_request(body: dict[str, Any], random: Any, brackets: bool) -> None:
    # Given the same body as a form, in any order, its brackets encoded or not
    pairs = pairs_of(body)
    random.shuffle(pairs)
    form = "&".join(f"{quote_plus(name)}={quote_plus(text)}" for name, text in pairs)
    if brackets:
        form = form.replace("%5B", "[").replace("%5D", "]")
    # Then both are the same request
    by_form = validate_body(parse_document(form, FORM))
    by_json = validate_body(parse_document(json.dumps(body), JSON))
    assert by_form.normalised() == by_json.normalised()


@pytest.mark.parametrize(
    ("form", "document"),
    [
        ("", {}),
        ("&", {}),
        ("amount=2500", {"amount": 2500}),
        ("amount=-1", {"amount": -1}),
        ("amount=0", {"amount": 0}),
        ("reason=a+b%2Bc", {"reason": "a b+c"}),
        ("reason=%E9%80%80", {"reason": "退"}),
        ("reason=a=b", {"reason": "a=b"}),
        ("metadata[a]=", {"metadata": {"a": ""}}),
        ("metadata[a]=1&metadata[b]=2", {"metadata": {"a": "1", "b": "2"}}),
        ("metadata%5Ba%5D=1", {"metadata": {"a": "1"}}),
        ("metadata[0]=x", {"metadata": {"0": "x"}}),
        ("expand[0]=charge&expand[1]=b", {"expand": ["charge", "b"]}),
        ("expand[1]=b&expand[0]=charge", {"expand": ["charge", "b"]}),
        ("expand[]=charge&expand[]=b", {"expand": ["charge", "b"]}),
    ],
)
def test_what_a_form_stands_for(form: str, document: dict[str, Any]) -> None:
    assert parse_form(form) == document


BASE = "payment_intent=pi_1&"
REFUSED = [
    ("amount=25.00", "amount"),
    ("amount=2500.0", "amount"),
    ("amount=2_500", "amount"),
    ("amount=+2500", "amount"),
    ("amount=%2B2500", "amount"),
    ("amount=2%2C500", "amount"),
    ("amount=%D9%A2", "amount"),
    ("amount=02500", "amount"),
    ("amount=2500+", "amount"),
    ("amount=1e3", "amount"),
    ("amount=0x10", "amount"),
    ("amount=true", "amount"),
    ("amount=0", "amount"),
    ("amount=-1", "amount"),
    ("amount=1000000000000", "amount"),
    ("amount=" + "9" * 5000, "amount"),
    ("amount=", "amount"),
    ("amount", "amount"),
    ("amount=1&amount=1", "amount"),
    ("amount[0]=1", "amount"),
    ("reason=", "reason"),
    ("metadata=", "metadata"),
    ("metadata=x", "metadata"),
    ("metadata[a]=1&metadata[a]=2", "metadata[a]"),
    ("metadata[a]=1&metadata=x", "metadata"),
    ("metadata=x&metadata[a]=1", "metadata"),
    ("metadata[]=1", "metadata[]"),
    ("metadata[a][b]=1", "metadata[a][b]"),
    ("metadata[a=1", "metadata[a"),
    ("metadata]a[=1", "metadata]a["),
    ("metadata[a]b=1", "metadata[a]b"),
    ("[a]=1", "[a]"),
    ("&".join(f"metadata[{n}]=" for n in range(51)), "metadata"),
    ("metadata[%FF]=1", "metadata"),
    ("metadata%5B%FF%5D=1", "metadata"),
    ("metadata[100%]=1", "metadata"),
    ("customer%5bname%FF%5d=1", "customer"),
    ("%FF=1", "%FF"),
    ("metadata[a]=%FF", "metadata[a]"),
    ("metadata[a]=%ED%A0%80", "metadata[a]"),
    ("reason=100%", "reason"),
    ("reason=%zz", "reason"),
    ("expand[0]=payment", "expand[0]"),
    ("expand=charge", "expand"),
    ("expand[1]=charge", "expand"),
    ("expand[a]=charge", "expand"),
    ("reverse_transfer=true", "reverse_transfer"),
    ("refund_application_fee=false", "refund_application_fee"),
    ("origin=customer_balance", "origin"),
    ("instructions_email=a%40example.com", "instructions_email"),
    ("customer=cus_1", "customer"),
    ("amuont=100", "amuont"),
    ('{"amount": 2500}', '{"amount": 2500}'),
    ("=1", None),
]


@pytest.mark.parametrize(("more", "param"), REFUSED, ids=[more[:40] for more, _ in REFUSED])
def test_what_a_form_cannot_mean_is_refused_by_name(more: str, param: str | None) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        validate_body(parse_form(BASE + more))
    assert refused.value.param == param
    assert refused.value.details["fields"][0]["reason"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"metadata": {"a": 1}}, "metadata[a]"),
        ({"metadata": {"k" * 41: "v"}}, f"metadata[{'k' * 41}]"),
        ({"metadata": {"a.b": 1}}, "metadata[a.b]"),
        ({"amount": None}, "amount"),
        ({"a.b": 1}, "a.b"),
        ({"invoice": "in_1"}, None),
    ],
)
def test_json_is_refused_by_the_same_names(body: dict[str, Any], param: str | None) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        validate_body(parse_json(json.dumps({"payment_intent": "pi_1", **body})))
    assert refused.value.param == param


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", f"{FORM}; charset=latin-1", "multipart/form-data; boundary=x"],
)
def test_another_type_of_body_is_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMediaTypeError):
        parse_document("amount=1", content_type)


@pytest.mark.parametrize(
    ("text", "content_type"),
    [('{"payment_intent": "pi_1"}', FORM), ("payment_intent=pi_1", JSON), ("a=1{}", JSON)],
)
def test_a_body_of_the_other_form_is_refused(text: str, content_type: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        validate_body(parse_document(text, content_type))
    # What is no JSON has no field that could be named
    assert (refused.value.param is None) == (content_type == JSON)
