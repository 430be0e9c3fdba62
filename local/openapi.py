"""Writes the OpenAPI document as JSON where the function reads it, so that it needs no YAML parser.

Run as `python -m local.openapi` after a change of `docs/openapi.yaml`. The copy is kept in the
repository, so that a build only copies files; a test checks that the two are equal.
"""

import json
from typing import Any

import yaml

from deployed import paths
from deploying.template_yaml import SAFE_LOADER

SOURCE = paths.ROOT / "docs" / "openapi.yaml"
COPY = paths.ROOT / "layers" / "product" / "refund_bridge" / "contract" / "openapi.json"


def read_document() -> dict[str, Any]:
    """The document as it stands in `docs/openapi.yaml`."""
    text = SOURCE.read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.load(text, SAFE_LOADER)  # noqa: S506 - a safe one
    return document


def as_json(document: dict[str, Any]) -> str:
    """The copy's text, always the same for the same document; compact, since nobody reads it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")) + "\n"


if __name__ == "__main__":
    COPY.write_text(as_json(read_document()), encoding="utf-8")
