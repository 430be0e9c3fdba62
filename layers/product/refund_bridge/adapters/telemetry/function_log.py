"""A function's structured log: Powertools' log without fields that are the same in each line."""

from typing import Any, Final

from aws_lambda_powertools import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

# The name and place of each function's log group already say this. Logs are paid for by the byte,
# and these fields were a fifth of them.
_SAID_BY_THE_GROUP: Final = frozenset({"function_arn", "function_memory_size", "function_name"})


class _Formatter(LambdaPowertoolsFormatter):
    def append_keys(self, **additional_keys: Any) -> None:
        """Add keys to every line, without those that never change."""
        keys = {k: v for k, v in additional_keys.items() if k not in _SAID_BY_THE_GROUP}
        super().append_keys(**keys)


def function_log() -> Logger:
    """The log of this process's function; its level and service are the environment's."""
    # The code location would be ``LogTelemetry`` in nearly every line, so it is left out.
    return Logger(logger_formatter=_Formatter(location=None))
