"""Write the JSON Schemas of the events that the service takes and publishes.

Run as `PYTHONPATH=layers/product python -m local.event_schemas` after a change of the request or of
`docs/openapi.yaml`, which defines the refund object. A test checks that the stored files are equal
to what this writes.
"""

import json
from collections.abc import Mapping
from typing import Any

from deployed import paths
from local.openapi import read_document
from refund_bridge.events.requested import RefundRequestedDetail

Schema = dict[str, Any]

DIRECTORY = paths.ROOT / "events" / "schemas"
DIALECT = "https://json-schema.org/draft/2020-12/schema"
COMPONENTS = "#/components/schemas/"
EVENT_ID = {
    "description": "The same however often the event is delivered.",
    "type": "string",
    "minLength": 1,
}


def schemas() -> dict[str, Schema]:
    """All schemas, by the name of their file."""
    return {
        "refund-requested.json": requested(),
        "refund-event.json": published(),
        "refund-request-refused.json": refused(),
    }


def requested() -> Schema:
    """The `detail` of a `Refund Requested` event, from the model that validates it."""
    schema = _without_nulls(RefundRequestedDetail.model_json_schema())
    schema["description"] = (
        "The body of POST /v1/refunds and the refund's key, under one of three names; of several"
        " all must be equal. Whatever refund_type says, the refund is executed in the background."
    )
    return {"$schema": DIALECT, **schema, "title": "Refund Requested"}


def published() -> Schema:
    """The `detail` of the seven events that tell of a refund.

    Members may be added later, so unknown members are allowed.
    """
    components = read_document()["components"]["schemas"]
    refund = _with_local_references(components["Refund"])
    refund.pop("additionalProperties")
    # Callers who may read refunds see the key; subscribers do not.
    refund["properties"].pop("idempotency_key")
    used = _used(components, components["Refund"])
    return {
        "$schema": DIALECT,
        "title": "Refund event",
        "description": "A refund, and which line of its history the event tells of.",
        **refund,
        "required": ["event_id", "sequence", *refund["required"]],
        "properties": {
            "event_id": EVENT_ID,
            "sequence": {
                "description": "The line of the refund's history; later news has a higher one.",
                "type": "integer",
                "minimum": 1,
            },
            **refund["properties"],
        },
        "$defs": {name: _with_local_references(components[name]) for name in sorted(used)},
    }


def refused() -> Schema:
    """The `detail` of a `Refund Request Refused` event."""
    text_or_null = {"type": ["string", "null"]}
    error = {
        "description": "As the same request would be answered over HTTP.",
        "type": "object",
        "required": ["code", "message", "details"],
        "properties": {
            "code": {"type": "string"},
            "message": {"type": "string"},
            "details": {"type": "object"},
        },
    }
    members: dict[str, Mapping[str, Any]] = {
        "event_id": EVENT_ID,
        "object": {"type": "string", "const": "refund_request"},
        "request_event_id": {
            "description": "The id of the event that asked, as PutEvents answered it.",
            "type": "string",
        },
        "source": {"description": "Who asked, if it can be read.", **text_or_null},
        "refund_id": {
            "description": "The refund that the key names, if it can be read.",
            **text_or_null,
        },
        "error": error,
    }
    return {
        "$schema": DIALECT,
        "title": "Refund Request Refused",
        "description": "A request that came as an event and is not accepted. Nothing was executed.",
        "type": "object",
        "required": list(members),
        "properties": members,
    }


def _without_nulls(node: Any) -> Any:
    """Remove null from the schema: a member may be left out, but the model allows no null."""
    if isinstance(node, list):
        return [_without_nulls(one) for one in node]
    if not isinstance(node, dict):
        return node
    kept = {name: _without_nulls(value) for name, value in node.items()}
    if kept.get("default", "") is None:
        del kept["default"]
    options = [one for one in kept.get("anyOf", ()) if one != {"type": "null"}]
    if len(options) == 1:
        del kept["anyOf"]
        kept |= options[0]
    return kept


def _with_local_references(node: Any) -> Any:
    if isinstance(node, list):
        return [_with_local_references(one) for one in node]
    if not isinstance(node, dict):
        return node.replace(COMPONENTS, "#/$defs/") if isinstance(node, str) else node
    return {name: _with_local_references(value) for name, value in node.items()}


def _used(components: Mapping[str, Any], node: Any) -> set[str]:
    """The names of all components that the node refers to, also indirectly."""
    if isinstance(node, list):
        return set().union(*(_used(components, one) for one in node))
    if isinstance(node, dict):
        return set().union(*(_used(components, one) for one in node.values()))
    if not isinstance(node, str) or not node.startswith(COMPONENTS):
        return set()
    name = node.removeprefix(COMPONENTS)
    return {name} | _used(components, components[name])


def text_of(schema: Schema) -> str:
    """A schema as the text of its file."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    DIRECTORY.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (DIRECTORY / name).write_text(text_of(schema))
        print(DIRECTORY / name)
