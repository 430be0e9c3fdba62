"""The contents at the head of `docs/runbook.md` lead to every page, in the pages' order."""

import re

from deployed import paths

RUNBOOK = (paths.ROOT / "docs" / "runbook.md").read_text()


def pages() -> list[str]:
    return re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)


def test_the_contents_name_every_page_in_its_order() -> None:
    head, _, _ = RUNBOOK.partition("\n## ")
    listed = re.findall(r"^\| \[(.+)\]\(#.+\) \| .+ \|$", head, re.MULTILINE)
    assert listed == pages()


def test_every_link_within_the_runbook_leads_to_a_page() -> None:
    slugs = {title.lower().replace(" ", "-") for title in pages()}
    linked = re.findall(r"\]\(#([^)]+)\)", RUNBOOK)
    assert linked
    assert set(linked) <= slugs
