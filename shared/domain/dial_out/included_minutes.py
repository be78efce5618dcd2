"""The legs that the included minutes of subscription licenses pay for."""

from shared.domain.common.kinds import ServiceNumberKind
from shared.domain.dial_out.policy import License
from shared.domain.directory.entities import Registration
from shared.domain.numbers.classes import ALLOWED_BY_DEFAULT, NumberClass
from shared.domain.numbers.numbers import NumberFacts
from shared.domain.numbers.regions import ZONE_A


def pool_pays(license_: License, region: str | None, number_class: NumberClass) -> bool:
    """True if the pool pays for a dial-out to such a number."""
    return (
        license_ is License.SUBSCRIPTION and region in ZONE_A and number_class in ALLOWED_BY_DEFAULT
    )


def dial_in_is_included(license_: License, *, toll_free: bool) -> bool:
    """True if the license pays for callers: of toll numbers with a subscription."""
    return license_ is License.SUBSCRIPTION and not toll_free


def is_toll_free(service: Registration | None, number: NumberFacts) -> bool:
    """True if callers of a service number pay nothing: by its registration, else by its class."""
    if service is not None:
        return service.kind is ServiceNumberKind.TOLL_FREE
    return number.number_class is NumberClass.TOLL_FREE
