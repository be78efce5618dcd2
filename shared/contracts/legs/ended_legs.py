"""Legs as bridges post them, described by the table of a leg's fields; a dialect parses them."""

from typing import Annotated, Any

from pydantic import ConfigDict, RootModel, WithJsonSchema

from shared.domain.common.kinds import LegKind
from shared.domain.common.limits import CALL_ENDED_LEGS_MAX, FOREIGN_ID_CHARS_MAX
from shared.domain.legs.leg import LEG_FIELDS, LegField, LegFieldType

type Json = dict[str, Any]

_LEG_TYPES: dict[LegFieldType, Json] = {
    LegFieldType.FOREIGN_ID: {"type": "string", "maxLength": FOREIGN_ID_CHARS_MAX},
    LegFieldType.ACCOUNT: {"type": "string"},
    LegFieldType.NUMBER: {"type": "string"},
    LegFieldType.KIND: {"enum": [*LegKind]},
    LegFieldType.TIME: {"type": "string", "format": "date-time"},
    LegFieldType.SECONDS: {"type": "integer", "minimum": 0},
}


def _leg_field(field: LegField) -> Json:
    schema = _LEG_TYPES[field.type]
    if not field.is_nullable:
        return schema
    if "enum" in schema:
        return {"enum": [*schema["enum"], None]}
    return {**schema, "type": [schema["type"], "null"]}


_LEG: Json = {
    "type": "object",
    "description": "A leg in dialect `perminute`; other dialects post their bridge's own shape.",
    "required": [name for name, field in LEG_FIELDS.items() if field.is_mandatory],
    "properties": {name: _leg_field(field) for name, field in LEG_FIELDS.items()},
}
_LEGS: Json = {"type": "array", "items": _LEG, "minItems": 1, "maxItems": CALL_ENDED_LEGS_MAX}

LegChanges = Annotated[
    dict[str, object], WithJsonSchema({"type": "object", "properties": _LEG["properties"]})
]
"""Changed fields of a leg, which dialect `perminute` validates."""


class EndedLegs(RootModel[Any]):
    """One leg or an array of legs."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [_LEG, _LEGS]})
