"""Serve all simulators: python -m local.simulators --announce FILE."""

import argparse
import asyncio
import json
import os
import signal
from pathlib import Path

from local.simulators.server import Simulators


def main() -> None:
    """Read the command line and serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m local.simulators", description=__doc__)
    parser.add_argument("--hitpay-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--stripe-port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--announce", type=Path, help="write the URLs here once listening")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, over.set)
    simulators = Simulators()
    try:
        await simulators.start(options.hitpay_port, options.stripe_port)
        urls = {f"{name}_url": url for name, url in simulators.urls.items()}
        if options.announce:
            _announce(options.announce, {**urls, "pid": os.getpid()})
        others = "".join(
            f"  {one.provider} {simulators.urls[one.provider]}" for one in simulators.others
        )
        known = f"HitPay {simulators.hitpay_url}  Stripe {simulators.stripe_url}"
        print(known + others, flush=True)
        await over.wait()
    finally:
        await simulators.stop()


def _announce(path: Path, facts: dict[str, str | int]) -> None:
    """Write the file in one step, so that nobody can read half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(facts))
    draft.replace(path)


if __name__ == "__main__":
    main()
