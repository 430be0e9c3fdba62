"""`refundctl console`: serve the operator's page until Ctrl-C."""

import asyncio
import os
import sys

from refundctl import options
from refundctl.console.server import serving
from refundctl.console.sources import Sources, sources_of
from refundctl.exits import Exit, RefusedError
from refundctl.options import Call, Groups
from refundctl.output import Output

_PORT_MAX = 65_535


def declare(groups: Groups) -> None:
    """Add the command to the command line."""
    console = options.command(
        groups, "console", _console, "A page to look at: what is open, what waits, what happened."
    )
    console.add_argument(
        "--port",
        type=options.whole(1, _PORT_MAX),
        default=0,
        help="of 127.0.0.1; a free one, if not given",
    )


def _console(call: Call) -> Exit:
    return asyncio.run(_serve(sources_of(call), call.arguments.port, call.output))


async def _serve(sources: Sources, port: int, output: Output) -> Exit:
    try:
        async with serving(sources, port=port) as address:
            told = f"{sources.deployment}: open {address} on this machine; Ctrl-C ends it."
            output.result(told, {"url": address})
            sys.stdout.flush()
            await asyncio.Event().wait()
    except OSError as error:
        told = os.strerror(error.errno or 0)
        raise RefusedError(f"127.0.0.1:{port} cannot be served at: {told}.") from error
    return Exit.DONE
