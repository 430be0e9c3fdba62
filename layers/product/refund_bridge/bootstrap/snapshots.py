"""SnapStart: Lambda keeps a copy of a started function and wakes it, many times, for cold starts.

Before the copy is taken, what the first call would import is imported, so that every copy has it.
After a copy was woken, it forgets what must be its own or fresh: clients, connections, credentials,
secrets and the state of the generator of random numbers, which all its siblings share.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import random
from collections.abc import Callable

from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.adapters.http.sockets import tls_context
from refund_bridge.adapters.stripe import calls as stripe_calls
from refund_bridge.config import Settings


def keep_ready(settings: type[Settings], forget_world: Callable[[], None]) -> None:
    """Register this for a function: the form of its settings, and what makes it forget its world.

    Nothing happens where Lambda's runtime has no snapshots: Python 3.11, and the local cloud.
    """
    try:
        # A part of Lambda's runtime, as which it is nobody's requirement.
        import snapshot_restore_py as snapshots  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return
    snapshots.register_before_snapshot(_prime, settings)
    snapshots.register_after_restore(_wake, forget_world)


def _prime(settings: type[Settings]) -> None:
    """Asks nobody, reads no clock and no variable of the function's own."""
    aws_clients.prime()
    stripe_calls.prime()
    tls_context()
    settings.model_rebuild()


def _wake(forget_world: Callable[[], None]) -> None:
    forget_world()
    aws_clients.forget_clients()
    random.seed()
