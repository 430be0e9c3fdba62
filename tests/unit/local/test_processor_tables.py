"""The tables of the page on processors are those of the code."""

import pytest

from local.processor_tables import PAGE, tables, written_into
from refund_bridge.processors.registry import OF_RECORDS, REGISTRY, variable_of


def test_the_page_has_the_tables_of_the_code() -> None:
    # After a change: PYTHONPATH=layers/product python -m local.processor_tables
    page = PAGE.read_text()
    assert written_into(page) == page


def test_every_processor_is_a_column_and_every_setting_a_row() -> None:
    capabilities, settings = tables()["capabilities"], tables()["settings"]
    heads = capabilities.splitlines()[0].split("|")[2:-1]
    assert len(heads) == len(REGISTRY)
    for name, adapter in REGISTRY.items():
        assert (f"`{name}_payment_id`" in capabilities) is (name in OF_RECORDS)
        for field in adapter.settings_form.model_fields:
            assert f"`{variable_of(name, field)}`" in settings


def test_a_page_without_a_place_for_a_table_is_noticed() -> None:
    with pytest.raises(ValueError, match="no place for the table 'capabilities'"):
        written_into("# Processors\n")
