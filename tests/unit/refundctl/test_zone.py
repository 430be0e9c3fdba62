"""Times are shown, and days are read, in the zone that is asked for; what machines read is not."""

import time
from collections.abc import Iterator

import pytest

from refund_bridge.domain.refund import Refund
from refundctl.exits import Exit
from refundctl.times import IN_UTC, in_zone, shown, shown_with_zone, when, zone, zone_name
from tests.fakes.world import World
from tests.unit.refundctl.operator import Operator

NOON_MS = 1_709_208_000_000  # 2024-02-29T12:00:00Z
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UTC", "2024-02-29 12:00:00 UTC"),
        ("Asia/Singapore", "2024-02-29 20:00:00 Asia/Singapore"),
        ("America/New_York", "2024-02-29 07:00:00 America/New_York"),
        ("Asia/Kathmandu", "2024-02-29 17:45:00 Asia/Kathmandu"),
    ],
)
def test_a_moment_is_shown_as_clocks_there_show_it(name: str, text: str) -> None:
    with in_zone(zone(name)):
        assert shown_with_zone(NOON_MS) == text
        assert shown(None) == ""
    assert zone_name() == IN_UTC.name


@pytest.fixture
def in_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose clock is Tokyo's."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


def test_local_is_what_this_machine_is_set_to(in_tokyo: None) -> None:
    with in_zone(zone("local")):
        assert shown_with_zone(NOON_MS) == "2024-02-29 21:00:00 local time"
        assert when("2024-02-29").unix_ms(0) == NOON_MS - 21 * 3_600_000
    assert shown(NOON_MS) == "2024-02-29 12:00:00"


@pytest.mark.parametrize(
    ("name", "day", "begins"),
    [
        ("UTC", "2024-02-29", "2024-02-29 00:00:00"),
        ("Asia/Singapore", "2024-02-29", "2024-02-28 16:00:00"),
        # Clocks were put forward at midnight: the day began at one o'clock
        ("Africa/Cairo", "2024-04-26", "2024-04-25 22:00:00"),
        # Clocks were put back at one o'clock: midnight came twice
        ("America/Havana", "2024-11-03", "2024-11-03 04:00:00"),
        ("Asia/Singapore", "0001-01-01", "1970-01-01 00:00:00"),
    ],
)
def test_a_day_begins_where_its_zone_says(name: str, day: str, begins: str) -> None:
    with in_zone(zone(name)):
        begun_ms = when(day).unix_ms(NOON_MS)
    assert shown(begun_ms) == begins


@pytest.mark.parametrize("text", ["2024-02-29T10:00:00+08:00", "2024-02-29T02:00:00Z"])
def test_a_time_that_says_its_zone_is_meant_so(text: str) -> None:
    with in_zone(zone("America/New_York")):
        assert when(text).unix_ms(0) == NOON_MS - 10 * 3_600_000
        assert when("36h").unix_ms(NOON_MS) == NOON_MS - 36 * 3_600_000


@pytest.mark.parametrize("line", ["list", "show rfd_1", "export --since 1d", "console", "doctor"])
@pytest.mark.parametrize("name", ["Asia/Singapur", "SGT+8", "", "../etc/passwd", "Asia", "utc"])
def test_a_zone_that_there_is_not_is_refused(
    operator: Operator, capsys: pytest.CaptureFixture[str], line: str, name: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        operator(f"{line} --tz '{name}'")
    assert ended.value.code == Exit.MISUSED
    told = capsys.readouterr().err
    assert f"argument --tz: {name!r} is no zone such as Asia/Singapore, UTC or local" in told
    assert "Traceback" not in told


def test_what_may_have_been_meant_is_said(
    operator: Operator, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        operator("list --tz asia/singapur")
    assert "Did you mean Asia/Singapore?" in capsys.readouterr().err


@pytest.mark.parametrize(
    "line",
    ["list", "show {id}", "review {id}", "find k", "webhooks list", "list --report reported"],
)
def test_every_command_shows_its_times_there(operator: Operator, refund: Refund, line: str) -> None:
    """And none shows one in UTC beside them."""
    asked = line.format(id=refund.id)
    told, there = operator.done(asked), operator.done(f"{asked} --tz Asia/Singapore")
    assert "UTC" not in there.out + there.err
    for before in moments(told.out + told.err):
        assert before not in there.out + there.err


def moments(text: str) -> set[str]:
    """The hours and minutes that stand in it."""
    return {word for word in text.split() if word.count(":") == 2 and word[:2].isdigit()}


def test_a_refund_is_shown_with_the_zone_beside_its_times(
    operator: Operator, refund: Refund
) -> None:
    with in_zone(zone("Asia/Singapore")):
        made = shown_with_zone(refund.created_at_ms)
    told = operator.done(f"show {refund.id} --tz Asia/Singapore").out
    assert made in told
    assert "time (Asia/Singapore)" in told
    assert "(UTC)" in operator.done(f"show {refund.id}").out


def test_a_day_of_that_zone_bounds_a_list(world: World, operator: Operator) -> None:
    # Given a refund that was made at five in the afternoon of UTC, which is the next day there
    at_five_ms = world.clock.now_ms() // DAY_MS * DAY_MS + DAY_MS + 17 * 3_600_000
    world.clock.advance(at_five_ms - world.clock.now_ms())
    made = world.refund("k", amount=100).refund.id
    world.report(made)
    world.clock.advance(DAY_MS)
    today, tomorrow = (shown(at_five_ms + more, "%Y-%m-%d") for more in (0, DAY_MS))
    # Then both of its days are read where they are
    assert [one["id"] for one in operator.json(f"list --since {today}")] == [made]
    assert operator.json(f"list --since {tomorrow}") == []
    there = "--tz Asia/Singapore"
    assert [one["id"] for one in operator.json(f"list --since {tomorrow} {there}")] == [made]
    line = f"export --since {today} --until {tomorrow}"
    assert [one["refund"] for one in operator.json(line)] == [made]
    assert operator.json(f"{line} {there}") == []


@pytest.mark.parametrize("line", ["list", "show {id}", "review {id}", "export --since 30d"])
def test_what_machines_read_is_the_same_whatever_the_zone(
    operator: Operator, refund: Refund, line: str
) -> None:
    asked = line.format(id=refund.id)
    assert operator.json(asked) == operator.json(f"{asked} --tz Asia/Singapore")
    if line.startswith("export"):
        assert operator.done(asked).out == operator.done(f"{asked} --tz Asia/Singapore").out
