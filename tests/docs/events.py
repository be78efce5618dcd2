"""The page of events: each type with its fields, and an example that the product emitted."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.contracts.credits.event_schemas import event_schema
from shared.domain.credits.alerts import EVENT_TYPES
from tests.docs.http_api import type_of
from tests.docs.markdown import block, code, table

type Json = dict[str, Any]
PATH = "docs/events/README.md"
START = "<!-- from here on: python -m tests.docs.reference -->"


def pages() -> dict[str, str]:
    """The text of the page, with the events of all scenes."""
    from tests.unit.delivery.test_events import SCENES, emitted

    return {PATH: text([event for scene in SCENES for event in emitted(scene)])}


def text(emitted: Sequence[Json]) -> str:
    """The page with a section for each type; `emitted` has an event of each at least."""
    root = Path(__file__).resolve().parents[2]
    lines = [START, ""]
    for kind, record in EVENT_TYPES.items():
        schema = event_schema(kind)["properties"]["data"]
        state = f"An alert: open until {record.ends}." if record.is_alert else "Sent once."
        repeated = " Repeated until someone acknowledges the alert." if record.is_repeated else ""
        lines += [f"## {kind}", "", f"{record.about} {state}{repeated}", ""]
        lines += [f"[Schema]({kind}.json)", ""]
        rows = [
            (
                code(f"data.{name}"),
                type_of(field),
                "always" if name in schema["required"] else "sometimes",
                field["description"],
            )
            for name, field in schema["properties"].items()
        ]
        lines += table(("field", "type", "present", "meaning"), rows)
        lines += block(next(each for each in emitted if each["type"] == kind))
    before = (root / PATH).read_text("utf-8").partition(START)[0]
    return before + "\n".join(lines).rstrip("\n") + "\n"
