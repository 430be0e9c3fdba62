"""Form bodies with brackets: amount[value]=5&refunds[0][type]=x as nested mappings."""

import re
from collections.abc import Iterable
from urllib.parse import parse_qsl

from local.simulators.json_text import JsonObject

_BRACKETED = re.compile(r"\[([^\]]*)\]")


def parse_form(body: str) -> JsonObject:
    """Read a form-encoded body or query string."""
    return nest(parse_qsl(body, keep_blank_values=True))


def nest(pairs: Iterable[tuple[str, str]]) -> JsonObject:
    """Turn bracketed names into nested mappings; list positions stay keys ("0", "1", ...)."""
    result: JsonObject = {}
    for name, value in pairs:
        head, bracket, rest = name.partition("[")
        steps = [head, *_BRACKETED.findall(bracket + rest)]
        level = result
        for step in steps[:-1]:
            below = level.setdefault(step, {})
            if not isinstance(below, dict):  # a=1&a[b]=2: the later, deeper one wins
                below = level[step] = {}
            level = below
        # expand[]=x names no position: it takes the next free one
        level[steps[-1] or str(len(level))] = value
    return result
