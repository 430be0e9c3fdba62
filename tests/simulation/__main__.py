"""``make simulate``: many worlds (``SEEDS=20000``), or one again with its trace (``SEED=123``).

Their seeds follow each other from ``FROM`` on. With ``PROCESSOR=ccg`` every payment is there;
without it each world says which processors it has. From some thousand worlds on every single fault
is walked through as well (``walks``).
"""

import argparse
import os
import sys
from dataclasses import fields

from tests.simulation.drawing import draw
from tests.simulation.profiles import NAMES
from tests.simulation.runs import (
    REVIEW_SHARES_MAX,
    STEPS,
    WORLDS_FOR_ALL,
    WORLDS_FOR_SHARES,
    Tally,
    live_all,
)
from tests.simulation.walks import walk_all
from tests.simulation.world import World

SHOWN_FAILURES = 5


def say(line: object = "") -> None:
    """Print one line."""
    sys.stdout.write(f"{line}\n")


def replay(seed: int, processor: str | None) -> bool:
    """Live the world of one seed again and show it; whether nothing was violated."""
    options = draw(seed, processor)
    for option in fields(options):
        say(f"{option.name:>18}  {getattr(options, option.name)}")
    say()
    world = World(options)
    result = world.run()
    say(world.stage.trace)
    say()
    say(result.failure or "No invariant was violated.")
    return result.failure is None


def show(tally: Tally, first: int) -> None:
    """Show the results of many worlds; ``first`` is the seed of the first."""
    pace = tally.worlds / tally.seconds if tally.seconds else 0
    seeds = f"seeds {first} to {first + tally.worlds - 1}"
    say(f"{tally.worlds} worlds, {seeds}, {pace:.0f} worlds/s over {os.cpu_count()} cores:")
    for name, count in tally.at.most_common():
        say(f"  {count:>9}  with {name}")
    say(f"{tally.calls} port calls, {sum(tally.faults.values())} faults:")
    by_kind: dict[str, int] = {}
    for (_, fault), count in tally.faults.items():
        by_kind[fault] = by_kind.get(fault, 0) + count
    for kind, count in sorted(by_kind.items(), key=lambda item: -item[1]):
        say(f"  {count:>9}  {kind}")
    say("of what others do:")
    for theme, count in tally.about.most_common():
        say(f"  {count:>9}  {theme}")
    say("a person said:")
    for command, count in tally.commands.most_common():
        say(f"  {count:>9}  {command}")
    share, plain = tally.review_shares
    say(f"{tally.repeated} instructions were sent again")
    say(f"{tally.refunds} refunds, {tally.unlinked} of them unlinked")
    say(f"{tally.reviews} of them ended in review ({share:.2%}; {plain:.2%} where nothing hides")
    say("  what became of a refund), each")
    say("  because its POST never executed, an equal foreign refund confused, clocks disagreed, or")
    say("  its processor does not show its keys, or its refunds")
    met = f"{len(tally.pairs & set(tally.faults))} of {len(tally.pairs)} faults × ports"
    say(f"{met}, {len(STEPS & set(tally.steps))} of {len(STEPS)} transitions occurred")


def verdict(tally: Tally, processor: str | None) -> bool:
    """Say whether the worlds prove what they should.

    With one processor alone not everything can occur: if it does not show payments, no external
    refund is imported.
    """
    must_have_all = processor is None and tally.worlds >= WORLDS_FOR_ALL
    at = f" PROCESSOR={processor}" if processor else ""
    for seed, failure in tally.failures[:SHOWN_FAILURES]:
        say(f"\nseed {seed} violates {failure[:2000]}")
        say(f"  again, with its trace: make simulate SEED={seed}{at}")
    if tally.missing:
        say("\nnever occurred: " + ", ".join(tally.missing))
        if not must_have_all:
            say(f"(which fails a run of {WORLDS_FOR_ALL} worlds or more, of all processors)")
    vacuous = bool(tally.missing) and must_have_all
    shares = zip(tally.review_shares, REVIEW_SHARES_MAX, strict=True)
    reviewed = tally.worlds >= WORLDS_FOR_SHARES and any(share > most for share, most in shares)
    if reviewed:
        say("\nmore refunds ended in review than may")
    say(f"\n{len(tally.failures)} violations")
    return not tally.failures and not vacuous and not (reviewed and must_have_all)


def walked() -> bool:
    """Try every single fault and every pair of grave ones, and print that; True if none failed."""
    worlds, failures = walk_all()
    say(f"{worlds} worlds with every single fault, or a pair of grave ones, at every port call:")
    for name, script, failure in failures[:SHOWN_FAILURES]:
        say(f"\n{name} with {script} violates {failure[:2000]}")
    say(f"{len(failures)} violations")
    return not failures


def main() -> int:
    """Run as the arguments say; 0 if every invariant held."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2_000, help="how many worlds")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first seed")
    parser.add_argument("--seed", type=int, help="one world again, with its trace")
    parser.add_argument("--processor", choices=NAMES, help="where every payment is")
    asked = parser.parse_args()
    if asked.seed is not None:
        return 0 if replay(asked.seed, asked.processor) else 1
    tally = live_all(asked.first, asked.seeds, processor=asked.processor)
    show(tally, asked.first)
    good = verdict(tally, asked.processor)
    if asked.processor is None and asked.seeds >= WORLDS_FOR_ALL:
        good = walked() and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
