"""How the page says times, spans and numbers."""

from refundctl.times import age, shown


def moment(at_ms: int) -> str:
    """A moment to the minute, in the command's zone."""
    return shown(at_ms, "%Y-%m-%d %H:%M")


def duration(taken_ms: int) -> str:
    """How long something took: 850 ms, 2.1 s, 3m, 2h5m."""
    if taken_ms < 1000:
        return f"{taken_ms} ms"
    if taken_ms < 60_000:
        tenths = taken_ms // 100
        return f"{tenths // 10}.{tenths % 10} s" if tenths % 10 else f"{tenths // 10} s"
    return age(taken_ms)


def ago(at_ms: int, now_ms: int) -> str:
    """A moment as seen from now; the processor's clock may be ahead of ours."""
    return f"{age(now_ms - at_ms)} ago" if now_ms >= at_ms else f"in {age(at_ms - now_ms)}"


def count_of(count: int, thing: str) -> str:
    """So many of something: 1 refund, 2 refunds."""
    return f"{count} {thing}" if count == 1 else f"{count} {thing}s"


def share(permille: int | None) -> str:
    """A share: 12.3 %; empty if it is not known."""
    return "" if permille is None else f"{permille // 10}.{permille % 10} %"
