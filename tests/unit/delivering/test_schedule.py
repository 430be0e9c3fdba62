"""When a webhook is sent again: the pauses, and their bounds."""

import pytest

from refund_bridge.delivering import schedule

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


def test_the_pauses_are_those_of_the_contract() -> None:
    pauses = [schedule.retry_ms(n, step_ms=MINUTE_MS, chance=0) for n in range(1, 9)]
    assert [one // MINUTE_MS for one in pauses] == [1, 5, 30, 120, 360, 710, 710, 710]


@pytest.mark.parametrize("attempts", range(1, 9))
def test_chance_shortens_a_pause_by_a_fifth_at_most(attempts: int) -> None:
    whole = schedule.RETRY_STEPS[min(attempts, 6) - 1] * MINUTE_MS
    for chance in (0.0, 0.3, 1.0):
        pause = schedule.retry_ms(attempts, step_ms=MINUTE_MS, chance=chance)
        assert whole * 4 // 5 <= pause <= whole


def test_no_pause_is_longer_than_sqs_can_hide_a_message() -> None:
    longest = max(
        schedule.retry_ms(99, step_ms=MINUTE_MS, chance=0),
        schedule.put_off_ms(99 * HOUR_MS, step_ms=MINUTE_MS, chance=1),
    )
    # 12 hours, less what the invocation has taken before it says so.
    assert longest <= 12 * HOUR_MS - 360_000


def test_all_attempts_of_three_days_fit_into_the_receives_that_sqs_can_count() -> None:
    at_ms, attempts = 0, 0
    while at_ms < schedule.GIVE_UP_STEPS * MINUTE_MS:
        attempts += 1
        at_ms += schedule.retry_ms(attempts, step_ms=MINUTE_MS, chance=1)
    closed = schedule.closed_ms(99, step_ms=MINUTE_MS)
    put_off = 3 * 24 * HOUR_MS // schedule.put_off_ms(closed, step_ms=MINUTE_MS, chance=0)
    assert attempts + put_off < 1000


def test_three_days_count_from_the_line_or_from_who_asked_for_it_again() -> None:
    assert schedule.gives_up_at_ms(1000, 500, step_ms=MINUTE_MS) == 1000 + 72 * HOUR_MS
    assert schedule.gives_up_at_ms(1000, 9000, step_ms=MINUTE_MS) == 9000 + 72 * HOUR_MS


def test_a_crowd_that_finds_no_place_thins_out() -> None:
    assert [schedule.busy_ms(n, chance=1) // 1000 for n in (1, 2, 5, 9, 20)] == [
        2,
        4,
        32,
        512,
        900,
    ]
    assert schedule.busy_ms(1, chance=0) == 1000
