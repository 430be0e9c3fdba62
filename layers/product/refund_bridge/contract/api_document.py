"""The OpenAPI document, as the service tells it of itself.

``openapi.json`` beside this file is made from ``docs/openapi.yaml`` and read when it is first asked
for, so that no other request pays for it.
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

PATH: Final = "/v1/openapi.json"
# Seen from the document's own place: one step up from ``/v1``.
RELATIVE: Final = ".."


def api_document(domain: str | None, asked_path: str) -> dict[str, Any]:
    """The document, with the one server that it was asked at.

    ``asked_path`` is the path with the stage or base path in front, as the gateway knows it.
    Without a domain the server is given relative to the document.
    """
    base = asked_path.removesuffix(PATH)
    url = f"https://{domain}{base}" if domain else RELATIVE
    return {**_document(), "servers": [{"url": url}]}


@cache
def _document() -> dict[str, Any]:
    file = Path(__file__).with_name("openapi.json")
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document
