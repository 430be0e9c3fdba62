"""SnapStart: Lambda keeps a snapshot of a started function and restores it for cold starts.

Before the snapshot is taken, everything that the first call would import is imported. After a
restore, the function forgets what must not be shared with other copies or must be fresh: clients,
connections, credentials, secrets and the state of the random number generator.
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

import random
from collections.abc import Callable

from refund_bridge.adapters.aws_runtime import clients as aws_clients
from refund_bridge.adapters.http.sockets import tls_context
from refund_bridge.adapters.stripe import calls as stripe_calls
from refund_bridge.config import Settings


def keep_ready(settings: type[Settings], forget_world: Callable[[], None]) -> None:
    """Register these hooks for a function: its settings' class, and how it forgets its world.

    Does nothing if the runtime has no snapshots: Python 3.11, and the local cloud.
    """
    try:
        # It is part of Lambda's runtime, so it is in no requirements file.
        import snapshot_restore_py as snapshots  # type: ignore[import-not-found]  # noqa: PLC0415
    except ImportError:
        return
    snapshots.register_before_snapshot(_prime, settings)
    snapshots.register_after_restore(_wake, forget_world)


def _prime(settings: type[Settings]) -> None:
    """Import ahead; sends nothing, reads no clock and none of the function's own variables."""
    aws_clients.prime()
    stripe_calls.prime()
    tls_context()
    settings.model_rebuild()


def _wake(forget_world: Callable[[], None]) -> None:
    forget_world()
    aws_clients.forget_clients()
    random.seed()
