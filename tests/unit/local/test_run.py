import pytest

from local import paths
from local.run import UnclearWishError, wished_times
from local.template_yaml import read_template


def test_times_are_those_of_the_stage_unless_they_are_named() -> None:
    assert wished_times({"HOLD_SECONDS": ""}) == {}


def test_times_that_are_named_become_parameters_of_the_template() -> None:
    times = wished_times({"SETTLE_SECONDS": "1", "HOLD_SECONDS": "30", "OTHER_SECONDS": "3"})
    assert times == {"SettleSeconds": "1", "HoldSeconds": "30"}
    assert times.keys() <= read_template(paths.TEMPLATE)["Parameters"].keys()


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "1m", "\u00b2"])
def test_a_time_that_is_not_a_whole_number_of_seconds_is_refused(value: str) -> None:
    with pytest.raises(UnclearWishError, match="SETTLE_SECONDS"):
        wished_times({"SETTLE_SECONDS": value})
