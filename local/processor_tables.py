"""Write the tables of `docs/processors.md`: what each processor can do, and its settings.

Run as `PYTHONPATH=layers/product python -m local.processor_tables` after a change of an adapter's
capabilities or settings. A test checks that the page has what this writes.
"""

from collections.abc import Callable, Iterable
from typing import Final

from deployed import paths
from refund_bridge.ports.processor import Capabilities, Dedupe, News
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, variable_of
from refund_bridge.processors.shared.base import Adapter

PAGE: Final = paths.ROOT / "docs" / "processors.md"
_DEDUPES: Final = {
    Dedupe.BY_KEY: "by our refund's id",
    Dedupe.BY_LOOK_UP: "by look-up",
    Dedupe.NOT_AT_ALL: "not at all",
}
_LEARNS: Final = {News.WEBHOOK: "webhook", News.POLLING: "polling"}
_ROWS: Final[dict[str, Callable[[Capabilities], str]]] = {
    "a repeated instruction is recognised": lambda can: _DEDUPES[can.dedupes],
    "a refund is shown by its own id": lambda can: _yes(can.shows_refunds),
    "a payment is shown, with its refunds": lambda can: _yes(can.shows_payments),
    "a part of a payment can be refunded": lambda can: _yes(can.partial),
    "and another part after it": lambda can: _yes(can.repeated_partial),
    "money can go to a card without a payment": lambda can: _yes(can.unlinked),
    "a refund may be pending": lambda can: _yes(can.may_be_pending),
    "its end is learnt by": lambda can: _LEARNS[can.learns_by],
    "all payments are listed, for the sweep": lambda can: _yes(can.lists_charges),
}


def tables() -> dict[str, str]:
    """All tables, by the name of their place in the page."""
    return {"capabilities": capabilities(), "settings": settings()}


def capabilities() -> str:
    """The table of what each processor can do, and of the names that it uses."""
    adapters = list(REGISTRY.values())
    rows = [
        [name, *(tell(adapter.capabilities) for adapter in adapters)]
        for name, tell in _ROWS.items()
    ]
    rows.append(["metadata of the Payment Record", *map(_named_by, adapters)])
    rows.append(["parameter that holds its key", *(f"`{one.secret}`" for one in adapters)])
    return _table(["", *(_short(adapter) for adapter in adapters)], rows)


def settings() -> str:
    """The table of the variables that set up each processor."""
    rows = [
        [
            _short(adapter),
            f"`{variable_of(name, field)}`",
            _default(field, about.is_required(), about.default),
        ]
        for name, adapter in REGISTRY.items()
        for field, about in adapter.settings_form.model_fields.items()
    ]
    return _table(["", "variable", "if left out"], rows)


def written_into(page: str) -> str:
    """The page with the tables as they are now."""
    for name, table in tables().items():
        begin, end = f"<!-- {name}: written by local/processor_tables.py -->", f"<!-- /{name} -->"
        before, _, rest = page.partition(begin)
        _, found, after = rest.partition(end)
        if not found:
            raise ValueError(f"the page has no place for the table {name!r}")
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


def _named_by(adapter: type[Adapter]) -> str:
    return f"`{adapter.name}_payment_id`" if adapter.name in OF_RECORDS else "none leads there"


def _short(adapter: type[Adapter]) -> str:
    return adapter.title.removeprefix("The ")


def _yes(is_so: bool) -> str:
    return "yes" if is_so else "no"


def _default(field: str, is_required: bool, default: object) -> str:
    if is_required:
        return "the processor is not set up" if field == "url" else "refused"
    return "nothing" if default is None else f"`{default}`"


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines).replace("|  |", "| |")


if __name__ == "__main__":
    PAGE.write_text(written_into(PAGE.read_text()))
