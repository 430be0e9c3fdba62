"""Every single fault at the calls of some workloads, and pairs of the gravest (``walks``)."""

import pytest

from tests.fakes.abilities import keeps_keys, names_where
from tests.simulation.faults import Fault
from tests.simulation.profiles import NAMES
from tests.simulation.walks import (
    ONE,
    WORKLOADS,
    after_a_lost_instruction,
    pairs,
    ports_called,
    single,
    violations,
    walk,
    whole_walk,
)

pytestmark = pytest.mark.heavy


# `make simulate` walks all of them, and more of each: here only HitPay has all kinds of workloads.
HERE = ("hitpay: ", "ccg: to a card", "a record that names two")
WALKED = [name for name in WORKLOADS if name.endswith(ONE) or name.startswith(HERE)]


@pytest.mark.parametrize("name", WALKED)
def test_every_single_fault_at_every_port_call(name: str) -> None:
    options = WORKLOADS[name]
    # Only for one refund faults are tried in the month after, too; `make simulate` does it for all.
    until_ms = None if name.endswith(ONE) else options.trouble_ms
    scripts = single(name, until_ms=until_ms)
    assert len(scripts) > 50
    assert violations(options, scripts) == []


@pytest.mark.parametrize("name", NAMES)
def test_every_single_fault_after_an_instruction_that_was_lost(name: str) -> None:
    options = WORKLOADS[f"{name}: {ONE}"]
    scripts = after_a_lost_instruction(name, until_ms=options.trouble_ms)
    assert len(scripts) > 50
    assert violations(options, scripts) == []


@pytest.mark.parametrize("name", NAMES)
def test_an_instruction_that_was_lost_is_handed_over_again_only_where_keys_are_kept(
    name: str,
) -> None:
    options = WORKLOADS[f"{name}: {ONE}"]
    lost = {ports_called(options).index(f"{name}.refund"): Fault.REQUEST_LOST}
    assert (f"{name}.repeat" in ports_called(options, lost)) == (name in names_where(keeps_keys))


@pytest.mark.parametrize("name", ["hitpay", "hyperswitch"])
def test_every_pair_of_grave_faults_of_one_refund(name: str) -> None:
    scripts = pairs(name, (Fault.CRASH_AFTER, Fault.REPLY_LOST))
    assert len(scripts) > 50
    assert violations(WORKLOADS[f"{name}: {ONE}"], scripts) == []


def test_make_simulate_walks_more_of_them_at_every_processor() -> None:
    steps = list(whole_walk())
    assert len(steps) > 10_000
    assert {name for name, _ in steps} == set(WORKLOADS)
    assert walk(steps[:20]) == []
