"""JSON is written with the digits that were given, and refuses what has none."""

import json
from decimal import Decimal
from typing import Any

import pytest

from refund_bridge.adapters.http.exact_json import dumps


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (200, "200"),
        (Decimal("200.00"), "200.00"),
        (Decimal("0.07"), "0.07"),
        (Decimal("1E+3"), "1000"),
        (Decimal("1E-3"), "0.001"),
        ('say "no"\n', r'"say \"no\"\n"'),
        ({"hsid": "é", "n": 1}, '{"hsid": "\\u00e9", "n": 1}'),
        ({}, "{}"),
    ],
)
def test_values_are_written_exactly(value: Any, written: str) -> None:
    body = dumps({"amount": value, "last": "x"})
    assert body == f'{{"amount": {written}, "last": "x"}}'.encode()
    assert json.loads(body)["last"] == "x"


@pytest.mark.parametrize("value", [1.5, True, None, [1], Decimal("NaN"), Decimal("Infinity"), b"x"])
def test_what_could_be_misread_is_not_written(value: Any) -> None:
    with pytest.raises(TypeError):
        dumps({"amount": value})
