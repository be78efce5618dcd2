"""Kinds of legs and service numbers."""

from enum import StrEnum


class LegKind(StrEnum):
    """The kind of connection of a leg. `voip` is free and never debited."""

    DIAL_IN = "dial_in"
    DIAL_OUT = "dial_out"
    VOIP = "voip"


class ServiceNumberKind(StrEnum):
    """An account's own conferencing number: who pays for the call to it."""

    TOLL = "toll"
    TOLL_FREE = "toll_free"
