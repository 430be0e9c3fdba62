"""Every single fault at every port call of some workloads, and every pair of them of a smaller one.

Seeded worlds are random; here every case is tried, at every processor, without other faults and
without chance. ``make simulate`` tries all of them; tests leave out faults in the month after.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from typing import Final

from refund_bridge.domain.refund_request import RefundType
from refund_bridge.refunding.locate_payment import VerifyCharge
from refund_bridge.settling.settling import AfterHold
from tests.fakes.abilities import names_where, refunds_unlinked
from tests.simulation.faults import POSSIBLE, Fault
from tests.simulation.options import LONE_RECORD, Options, Unlinked, Wish
from tests.simulation.others import HOUR_MS, MINUTE_MS, Booking, Foreign, Name
from tests.simulation.profiles import NAMES
from tests.simulation.world import World

Script = dict[int, Fault]


def wish(key: str, amount: int | None, **more: object) -> Wish:
    """A wish for payment 0, at the beginning, asked for up to three times."""
    facts: dict[str, object] = {
        "payment": 0,
        "refund_type": RefundType.INSTANT,
        "start_ms": 0,
        "tries": 3,
    }
    return Wish(key=key, amount=amount, **{**facts, **more})  # type: ignore[arg-type]


def quiet_world(*wishes: Wish, **more: object) -> Options:
    """A world in which nothing goes wrong by itself."""
    facts: dict[str, object] = {
        "seed": 1,
        "payments": 1,
        "foreign": (),
        "foreign_equal": False,
        "rate": 0.0,
        "faults": frozenset(),
        "trouble_ms": 10 * MINUTE_MS,
        "outages": (),
        "hold_ms": 2 * HOUR_MS,
        "after_hold": AfterHold.FAILED,
        "verify": VerifyCharge.ALWAYS,
        "skew_ms": 0,
        "processor_skew_ms": 0,
        "checks_amounts": False,
        "one_refund_only": False,
        "odd_conduct": 0.0,
        "takes_back": False,
        "webhook_rate": 0.0,
        "double_runs": False,
        "max_receives": 3,
        "redrives": False,
        "forgets_keys": False,
    }
    return Options(wishes=wishes, **{**facts, **more})  # type: ignore[arg-type]


ONE: Final = "one instant refund"
CHUNK: Final = 50
# Workloads for every processor, and those that only some processors can do.
EVERYWHERE: Final[dict[str, Options]] = {
    ONE: quiet_world(wish("a", 2500)),
    "an instant and a scheduled refund": quiet_world(
        wish("a", 2500), wish("b", 2500, refund_type=RefundType.SCHEDULED, start_ms=5_000)
    ),
    "one key twice at once, and another over the limit": quiet_world(
        wish("a", 6000), wish("a", 6000), wish("b", 6000, start_ms=10)
    ),
    "webhooks, a refund in the dashboard, two runs at once": quiet_world(
        wish("a", 2500),
        foreign=(
            Foreign(
                payment=0,
                amount=1037,
                at_ms=3_000,
                booking=Booking(Name.PROCESSOR_REFUND, MINUTE_MS),
            ),
        ),
        webhook_rate=2.0,
        double_runs=True,
        trouble_ms=20 * MINUTE_MS,
    ),
    "pending first, by its PaymentIntent": quiet_world(
        wish("a", None, by_intent=True), odd_conduct=1.0, webhook_rate=1.0
    ),
}


def at(processor: str, options: Options) -> Options:
    """That world with all its payments there."""
    return replace(options, homes=((processor,),))


def workloads() -> dict[str, Options]:
    """Every workload at every processor that can do it."""
    worlds = {
        f"{name}: {what}": at(name, options)
        for name in NAMES
        for what, options in EVERYWHERE.items()
    }
    for name in names_where(refunds_unlinked):
        card = Unlinked("card-0", LONE_RECORD)
        worlds[f"{name}: to a card, reported, and from a payment"] = at(
            name, quiet_world(wish("a", 2500, processor=name, unlinked=card), wish("b", 2500))
        )
        scheduled = {"refund_type": RefundType.SCHEDULED, "unlinked": Unlinked("card-0", None)}
        worlds[f"{name}: to a card, scheduled"] = at(
            name, quiet_world(wish("a", 2500, processor=name, **scheduled), odd_conduct=1.0)
        )
    two = wish("a", 2500, processor=NAMES[0]), wish("b", 2500, processor=NAMES[1], start_ms=10)
    worlds["a record that names two"] = replace(quiet_world(*two), homes=(NAMES[:2],))
    return worlds


WORKLOADS: Final = workloads()
# The faults after which a caller, a worker or a run knows the least.
GRAVE: Final = (Fault.CRASH_AFTER, Fault.REPLY_LOST, Fault.PAUSE_BEFORE, Fault.LATE)


def ports_called(
    options: Options, given: Script | None = None, *, until_ms: int | None = None
) -> list[str]:
    """The ports that the workload calls, in order, without faults except the given ones.

    All calls before a person closes what is open, or those before ``until_ms``.
    """
    world = World(options, script=given or {})
    world.stage.dice.remembers = True
    if until_ms is not None:
        world.stage.scheduler.at(until_ms, world.stage.dice.stop)
    result = world.run()
    assert result.failure is None, result.failure
    return world.stage.dice.ports


def violations(options: Options, scripts: Sequence[Script]) -> list[tuple[Script, str]]:
    """Which of these faults violate an invariant."""
    found = []
    for script in scripts:
        result = World(options, script=script).run()
        if result.failure is not None:
            found.append((script, result.failure))
    return found


def singles(ports: list[str], given: Script) -> list[Script]:
    """Every single fault at these calls, added to the given ones."""
    return [
        {**given, index: fault}
        for index, port in enumerate(ports)
        if index not in given
        for fault in POSSIBLE[port]
    ]


def grave(ports: list[str], given: Script, kinds: Sequence[Fault]) -> list[Script]:
    """Every grave fault of those kinds at a call after the given ones."""
    after = max(given, default=-1)
    return [
        script
        for script in singles(ports, given)
        if max(script) > after and script[max(script)] in kinds
    ]


def single(name: str, *, until_ms: int | None = None) -> list[Script]:
    """Every single fault of a workload: also in the month after, or only before ``until_ms``."""
    return singles(ports_called(WORKLOADS[name], until_ms=until_ms), {})


def after_a_lost_instruction(processor: str, *, until_ms: int | None = None) -> list[Script]:
    """Every single fault beside the loss of the one instruction."""
    options = at(processor, EVERYWHERE[ONE])
    given = {ports_called(options).index(f"{processor}.refund"): Fault.REQUEST_LOST}
    return singles(ports_called(options, given, until_ms=until_ms), given)


def pairs(processor: str, kinds: Sequence[Fault] = GRAVE) -> list[Script]:
    """Every pair of grave faults of one refund, until it is reported.

    A fault leads to further calls; the second fault may hit one of those.
    """
    options = at(processor, EVERYWHERE[ONE])
    begun_ms = options.trouble_ms
    return [
        both
        for first in grave(ports_called(options, until_ms=begun_ms), {}, kinds)
        for both in grave(ports_called(options, first, until_ms=begun_ms), first, kinds)
    ]


def whole_walk() -> Iterator[tuple[str, Script]]:
    """All cases: the workload, and the faults in it.

    Faults in the checks and sweeps of the month after are tried at every processor for one refund,
    and at the first processor for more workloads.
    """
    for name, options in WORKLOADS.items():
        processor, _, what = name.partition(": ")
        is_whole = processor == NAMES[0] or what == ONE
        until_ms = None if is_whole else options.trouble_ms
        yield from ((name, script) for script in single(name, until_ms=until_ms))
    for processor in NAMES:
        one = f"{processor}: {ONE}"
        calm_ms = WORKLOADS[one].calm_ms
        lost = after_a_lost_instruction(processor, until_ms=calm_ms)
        yield from ((one, script) for script in (*lost, *pairs(processor)))


def walk(steps: Sequence[tuple[str, Script]]) -> list[tuple[str, Script, str]]:
    """The cases that violate an invariant: the workload, the faults, and the invariant."""
    return [
        (name, script, failure)
        for name, script in steps
        for _, failure in violations(WORKLOADS[name], [script])
    ]


def walk_all() -> tuple[int, list[tuple[str, Script, str]]]:
    """Try all cases on all cores of the machine; returns how many worlds, and the failures."""
    steps = list(whole_walk())
    chunks = [steps[start : start + CHUNK] for start in range(0, len(steps), CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        failures = [failure for found in pool.map(walk, chunks) for failure in found]
    return len(steps), failures
