"""What a caller may ask to read: each parameter known, given once, and of the contract's form."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from refund_bridge.domain.errors import InvalidRequestError
from refund_bridge.http.queries import (
    is_reference,
    parameters_of,
    parse_list,
    parse_sync,
    require_no_parameters,
)
from refund_bridge.reading.listing import ListQuery


def parsed(**given: str) -> ListQuery:
    return parse_list({name: [value] for name, value in given.items()})


def problems(parameters: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidRequestError) as refused:
        parse_list(parameters)
    return [(field["path"], field["reason"]) for field in refused.value.details["fields"]]


def paths(**given: str) -> list[str]:
    return [path for path, _ in problems({name: [value] for name, value in given.items()})]


class TestLists:
    """The parameters of a list."""

    def test_nothing_is_required(self) -> None:
        assert parsed() == ListQuery(limit=10)

    def test_everything_that_goes_together_is_understood(self) -> None:
        assert parsed(
            payment_record="pr_1",
            created_after="2024-02-29T23:59:59.999Z",
            created_before="2024-03-01T08:00:00+08:00",
            limit="100",
            starting_after="rfd_1",
        ) == ListQuery(
            payment_record="pr_1",
            created_after_ms=1_709_251_199_999,
            created_before_ms=1_709_251_200_000,
            limit=100,
            starting_after="rfd_1",
        )

    @pytest.mark.parametrize("name", ["payment_intent", "invoice"])
    def test_so_is_every_other_reference(self, name: str) -> None:
        assert parsed(**{name: "x_1"}) == ListQuery(**{name: "x_1"})  # type: ignore[arg-type]

    @pytest.mark.parametrize("status", ["pending", "succeeded", "failed", "canceled", "review"])
    def test_so_is_every_status_of_the_contract(self, status: str) -> None:
        assert parsed(status=status) == ListQuery(statuses=(status,))

    def test_filters_go_together(self) -> None:
        assert parsed(
            payment_intent="pi_1",
            status="failed,review,failed",
            amount="2500",
            currency="SGD",
            processor="hitpay",
            reason="customer_requested",
        ) == ListQuery(
            payment_intent="pi_1",
            statuses=("failed", "review"),
            amount=2500,
            currency="sgd",
            processor="hitpay",
            reason="requested_by_customer",
        )

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("status", "failed,"),
            ("status", "failed, review"),
            ("amount", "25.00"),
            ("amount", "0"),
            ("amount", "1.000,50"),
            ("amount", " 2500"),
            ("amount", "\u0662"),
            ("currency", "sg"),
            ("processor", "hit pay"),
            ("reason", "x" * 256),
        ],
    )
    def test_a_filter_that_cannot_be_meant_is_refused(self, name: str, text: str) -> None:
        assert paths(**{name: text}) == [name]

    def test_an_unknown_parameter_is_refused_and_named(self) -> None:
        assert problems({"payment_recrod": ["pr_1"], "limit": ["5"]}) == [
            ("payment_recrod", "is not a parameter here")
        ]

    def test_a_parameter_given_twice_is_refused_even_if_both_are_alike(self) -> None:
        assert problems({"limit": ["5", "5"]}) == [("limit", "is given more than once")]

    def test_an_empty_parameter_is_refused(self) -> None:
        assert problems({"starting_after": [""]}) == [("starting_after", "must not be empty")]

    def test_everything_that_is_wrong_is_told_at_once(self) -> None:
        assert sorted(paths(limit="0", status="open", created_after="now")) == [
            "created_after",
            "limit",
            "status",
        ]

    def test_of_many_unknown_ones_a_few_are_named_and_long_names_are_cut(self) -> None:
        many = {"x" * 5000 + str(number): ["1"] for number in range(500)}
        told = problems(many)
        assert len(told) == 20
        assert {len(path) for path, _ in told} == {100}

    @pytest.mark.parametrize(
        "several",
        [
            {"payment_record": "a", "payment_intent": "b"},
            {"payment_intent": "a", "invoice": "b"},
            {"payment_record": "a", "payment_intent": "b", "invoice": "c", "status": "failed"},
        ],
    )
    def test_at_most_one_reference_may_be_given(self, several: dict[str, str]) -> None:
        assert paths(**several) == [""]

    @pytest.mark.parametrize(
        "limit",
        ["0", "-1", "101", "1000", "9" * 5000, "1e1", "1.0", "+5", " 5", "5 ", "05", "0x5", "٣",
         "5_0", "ten", "\0", "\ud800"],
    )  # fmt: skip
    def test_a_limit_that_is_no_whole_number_from_1_to_100(self, limit: str) -> None:
        assert problems({"limit": [limit]}) == [("limit", "must be a whole number from 1 to 100")]

    @pytest.mark.parametrize(
        "text", ["x" * 256, "pr 1", "pr_1\n", "prä", "\0", "\ud800", "x" * 100_000]
    )
    @pytest.mark.parametrize("name", ["payment_record", "payment_intent", "invoice", "status"])
    def test_a_text_that_nothing_is_called(self, name: str, text: str) -> None:
        assert paths(**{name: text}) == [name]
        assert paths(starting_after=text) == ["starting_after"]


class TestTimes:
    """RFC 3339, to the millisecond, from one end of the calendar to the other."""

    @pytest.mark.parametrize(
        ("text", "at_ms"),
        [
            ("1970-01-01T00:00:00Z", 0),
            ("1969-12-31T23:59:59.999Z", -1),
            ("1970-01-01t00:00:00.001z", 1),
            ("1970-01-01T08:00:00+08:00", 0),
            ("1969-12-31T16:30:00-07:30", 0),
            ("1970-01-01T00:00:00-00:00", 0),
            ("0001-01-01T00:00:00+23:59", -62_135_683_140_000),
            ("9999-12-31T23:59:60Z", 253_402_300_800_000),
            ("9999-12-31T23:59:59-23:59", 253_402_387_139_000),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2017-01-01T07:59:60.25+08:00", 1_483_228_800_250),
        ],
    )
    def test_a_time_is_understood(self, text: str, at_ms: int) -> None:
        assert parsed(created_after=text).created_after_ms == at_ms
        assert parsed(created_before=text).created_before_ms == at_ms

    @pytest.mark.parametrize("fraction", ["000001", "9", "999999"])
    def test_between_two_milliseconds_neither_is_on_the_wrong_side(self, fraction: str) -> None:
        text = f"1970-01-01T00:00:00.005{fraction}Z"
        query = parsed(created_after=text, created_before=text)
        # What was created at 5 ms is not after it, and what was created at 6 ms not before.
        assert (query.created_after_ms, query.created_before_ms) == (5, 6)

    @pytest.mark.parametrize(
        "text",
        [
            "2024-02-30T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-00-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2024-02-29",
            "2024-02-29T00:00:00",
            "2024-02-29T00:00Z",
            "2024-02-29 00:00:00Z",
            "2024-02-29T00:00:00 08:00",
            "2024-02-29T24:00:00Z",
            "2024-02-29T23:60:00Z",
            "2024-02-29T23:59:61Z",
            "2024-02-29T23:58:60Z",
            "2016-12-31T23:59:60+08:00",
            "2024-02-29T00:00:00+24:00",
            "2024-02-29T00:00:00+08:60",
            "2024-02-29T00:00:00+0800",
            "2024-02-29T00:00:00.Z",
            "2024-02-29T00:00:00.1234567890Z",
            "12024-02-29T00:00:00Z",
            "20240229T000000Z",
            "2024-W09-4T00:00:00Z",
            "٢٠٢٤-02-29T00:00:00Z",
            "1709251199",
            "yesterday",
            "2024-02-29T00:00:00Z\n",
            "\0",
            "\ud800",
            "9" * 100_000,
        ],
    )
    def test_what_is_no_time_is_refused(self, text: str) -> None:
        assert paths(created_after=text) == ["created_after"]
        assert paths(created_before=text) == ["created_before"]


class TestOthers:
    """The parameters of the other routes."""

    @pytest.mark.parametrize(
        ("parameters", "sync"),
        [({}, False), ({"sync": ["false"]}, False), ({"sync": ["true"]}, True)],
    )
    def test_a_reader_may_ask_for_a_look_at_the_processor(
        self, parameters: dict[str, list[str]], sync: bool
    ) -> None:
        assert parse_sync(parameters) is sync

    @pytest.mark.parametrize(
        "parameters",
        [
            {"sync": ["TRUE"]},
            {"sync": ["1"]},
            {"sync": [""]},
            {"sync": ["\ud800"]},
            {"sync": ["true", "true"]},
            {"sync": ["true", "false"]},
            {"Sync": ["true"]},
            {"limit": ["5"]},
        ],
    )
    def test_and_may_say_nothing_else(self, parameters: dict[str, list[str]]) -> None:
        with pytest.raises(InvalidRequestError) as refused:
            parse_sync(parameters)
        fields = refused.value.details["fields"]
        assert [field["path"] for field in fields] == list(parameters)
        assert all(field["reason"] for field in fields)

    def test_a_route_without_parameters_takes_none(self) -> None:
        require_no_parameters({})
        with pytest.raises(InvalidRequestError):
            require_no_parameters({"amount": ["100"]})

    @pytest.mark.parametrize(
        ("event", "parameters"),
        [
            ({}, {}),
            ({"multiValueQueryStringParameters": None}, {}),
            ({"multiValueQueryStringParameters": {"a": ["1", "2"]}}, {"a": ["1", "2"]}),
            ({"multiValueQueryStringParameters": {"a": [None], "b": None}}, {"a": [""], "b": [""]}),
        ],
    )
    def test_parameters_are_taken_from_the_gateways_event(
        self, event: dict[str, Any], parameters: dict[str, list[str]]
    ) -> None:
        assert parameters_of(event) == parameters

    @pytest.mark.parametrize("text", ["pr_1", "x" * 255, "!", "~", "../../v1/charges"])
    def test_what_an_object_could_be_called(self, text: str) -> None:
        assert is_reference(text)

    @pytest.mark.parametrize("text", ["", "x" * 256, "pr 1", "prä", "\x7f", "\ud800", "\0"])
    def test_and_what_none_is_called(self, text: str) -> None:
        assert not is_reference(text)
