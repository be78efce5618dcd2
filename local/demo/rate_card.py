"""The demo's rate card: every country that can be dialled, at invented prices, in four zones.

Countries that share a code, islands, satellite networks, premium and shared-cost ranges have
separate rows, by libphonenumber.

Kyrgyzstan (+996) is left out on purpose: the demo shows a leg without a rate, and adds the rate.
"""

from dataclasses import dataclass
from datetime import datetime

import phonenumbers

from local.demo.special_ranges import SpecialRange, special_ranges
from shared.domain.common.canonical import format_time
from shared.domain.numbers.regions import INTERNATIONAL, NAMES, ZONE_A

type RateJson = dict[str, object]

MISSING_REGION = "KG"
_NORTH_AMERICA = frozenset({"US", "CA", "PR"})
_NEAR_REGIONS = """
AD AE AX CY FO GG GI GL IL IM IS JE KZ LI LT LV MC MT SJ SM TR UA VA BY RS MK ME
"""
_MIDDLE_REGIONS = """
AR BD BH BN BO CL CO CR EC GE GT GU HN ID JO KH KW KY LK MN MO MP NI NP OM PA PE PH PK PY QA
SA SV TT UY UZ VE VI VN BS BM BB DO JM AM AZ AL BA MD XK CC CX
"""
_NEAR = frozenset(_NEAR_REGIONS.split())
_MIDDLE = frozenset(_MIDDLE_REGIONS.split())


@dataclass(frozen=True, slots=True)
class ZoneTariff:
    """A zone's way to charge: decimal strings per minute, and the increments in seconds."""

    fixed: str
    mobile: str
    connection_fee: str
    first_seconds: int
    then_seconds: int

    def slots(self, price: str) -> list[dict[str, object]]:
        """The slots of a price: the first increment, and from its end on the next ones."""
        first = _slot(0, price, self.first_seconds)
        if self.first_seconds == self.then_seconds:
            return [first]
        return [first, _slot(self.first_seconds, price, self.then_seconds)]


NORTH_AMERICA = ZoneTariff("0.0085", "0.0085", "0", 1, 1)
ZONE_A_TARIFF = ZoneTariff("0.012", "0.045", "0.05", 60, 60)
NEAR = ZoneTariff("0.038", "0.11", "0.02", 60, 1)
MIDDLE = ZoneTariff("0.085", "0.14", "0", 30, 6)
FAR = ZoneTariff("0.29", "0.36", "0.1", 60, 60)
SATELLITE = ZoneTariff("5.9", "5.9", "0.5", 60, 60)
PREMIUM = ZoneTariff("1.75", "1.75", "0.5", 60, 60)
SHARED_COST = ZoneTariff("0.16", "0.16", "0.05", 60, 1)
SHARED_COST_FAR = ZoneTariff("0.52", "0.52", "0.05", 60, 1)
TOLL = ZoneTariff("0.0042", "0.0042", "0", 60, 1)
TOLL_FREE = ZoneTariff("0.029", "0.029", "0", 60, 60)
TOLL_FREE_DEAR = ZoneTariff("0.11", "0.11", "0.01", 60, 60)

# Regions that share a country code with another: the digits that are theirs.
_OWN_PREFIXES = {
    "AG": "1268", "AI": "1264", "AS": "1684", "BB": "1246", "BM": "1441", "BS": "1242",
    "DM": "1767", "DO": "1809 1829 1849", "GD": "1473", "GU": "1671", "JM": "1658 1876",
    "KN": "1869", "KY": "1345", "LC": "1758", "MP": "1670", "MS": "1664", "PR": "1787 1939",
    "SX": "1721", "TC": "1649", "TT": "1868", "VC": "1784", "VG": "1284", "VI": "1340",
    "CA": "1204 1226 1236 1249 1250 1257 1263 1273 1289 1306 1343 1354 1365 1367 1368 1382 1403"
    " 1416 1418 1428 1431 1437 1438 1450 1460 1468 1474 1506 1514 1519 1548 1579 1581 1584 1587"
    " 1600 1604 1613 1622 1633 1639 1647 1672 1683 1705 1709 1742 1753 1778 1780 1782 1807 1819"
    " 1825 1867 1873 1879 1902 1905 1942",
    "GG": "441481 447781 447839 4479111 4479117",
    "JE": "441534 447509 447829 447937 4477003 4477007 4477008 447797",
    "IM": "441624 447624 4474576 447524 447924",
    "KZ": "76 77", "VA": "379 3906698", "SJ": "4779", "AX": "35818", "EH": "2125288 2125289",
    "YT": "262269 262639 2627093", "CC": "6189162", "CX": "6189164", "TA": "2908",
    "BQ": "5993 5994 5997", "CW": "5999", "NF": "672",
    "BL": "59059027", "MF": "59059087",
}  # fmt: skip

_MOBILE_PREFIXES = {
    "AT": "4365 4366 4367 4368 4369", "AU": "614", "BE": "3245 3246 3247 3248 3249",
    "BG": "35987 35988 35989", "BR": "55119 55219 55319 55419 55519 55619 55719 55819 55919",
    "CH": "4174 4175 4176 4177 4178 4179", "CZ": "4206 4207", "DE": "4915 4916 4917",
    "DZ": "2135 2136 2137", "EG": "201", "ES": "346 347", "FI": "3584 35850", "FR": "336 337",
    "GB": "447", "GR": "3069", "HR": "3859", "HU": "3620 3630 3650 3670", "IE": "3538",
    "IL": "9725", "IT": "393", "JP": "8170 8180 8190", "KE": "2547 2541", "KR": "8210",
    "KZ": "770 7747 7760 7771 7775 7776 7777 7778", "LT": "3706", "LU": "3526", "LV": "3712",
    "MA": "2126 2127", "MY": "601", "NG": "23470 23480 23481 23490 23491", "NL": "316",
    "NO": "474 479", "NZ": "642", "PE": "519", "PH": "639",
    "PL": "4845 4850 4851 4853 4857 4860 4866 4869 4872 4873 4878 4879 4888", "PT": "3519",
    "RO": "407", "RS": "3816", "RU": "79", "SA": "9665", "SE": "467", "SG": "658 659",
    "SI": "38630 38631 38640 38641 38651", "SK": "4219", "TH": "666 668 669", "TR": "905",
    "TW": "8869", "UA": "38050 38063 38066 38067 38068 38073 38093 38096 38097 38098 38099",
    "ZA": "276 277 278",
}  # fmt: skip

_SPECIAL = (
    ("44842", "United Kingdom, shared cost", SHARED_COST),
    ("44843", "United Kingdom, shared cost", SHARED_COST),
    ("44844", "United Kingdom, shared cost", SHARED_COST),
    ("44845", "United Kingdom, shared cost", SHARED_COST),
    ("4487", "United Kingdom, shared cost", SHARED_COST),
    ("449", "United Kingdom, premium rate", PREMIUM),
    ("4470", "United Kingdom, personal numbers", SHARED_COST),
    ("49900", "Germany, premium rate", PREMIUM),
    ("39899", "Italy, premium rate", PREMIUM),
    ("1900", "North America, premium rate", PREMIUM),
    ("979", "International premium rate", PREMIUM),
    ("800", "International freephone", SHARED_COST),
    ("808", "International shared cost", SHARED_COST),
    ("878", "Universal personal numbers", PREMIUM),
    ("870", "Inmarsat", SATELLITE),
    ("881", "Satellite networks", SATELLITE),
    ("882", "International networks", SATELLITE),
    ("88216", "Thuraya", SATELLITE),
    ("883", "International networks", SATELLITE),
    ("888", "International networks", SATELLITE),
)

_TOLL_FREE_AMERICA = ("1800", "1833", "1844", "1855", "1866", "1877", "1888")
_TOLL_FREE = {"44800": "GB", "44808": "GB", "33805": "FR", "49800": "DE", "39800": "IT"}


def rate_card(currency: str = "USD") -> dict[str, object]:
    """A whole version as the administration takes it (docs/rate-cards.md)."""
    regions = sorted(region for region in NAMES if region not in {INTERNATIONAL, MISSING_REGION})
    outward = [rate for region in regions for rate in _region_rates(region)]
    known = tuple(prefix for prefix, _, _ in _SPECIAL)
    premium_rates = [
        _special_rate(each)
        for each in special_ranges(frozenset(regions))
        if not each.prefix.startswith(known)
    ]
    special = [_rate("dial_out", *row) for row in _SPECIAL]
    inward = [*_toll_rates(), *_toll_free_rates()]
    return {
        "currency": currency,
        "time_zone": "UTC",
        "rounding": {"mode": "half_up", "decimals": 4},
        "rates": [*_one_per_prefix([*special, *outward, *premium_rates]), *inward],
    }


def missing_rates() -> list[RateJson]:
    """The missing rates: Kyrgyzstan's."""
    return list(_region_rates(MISSING_REGION))


def version_path(card: str, effective_from: datetime) -> str:
    """Where a version of a card is PUT."""
    return f"/api/v1/rate-cards/{card}/versions/{format_time(effective_from)}"


def _region_rates(region: str) -> list[RateJson]:
    tariff, name = _tariff(region), NAMES[region]
    prefixes = _OWN_PREFIXES.get(region, str(phonenumbers.country_code_for_region(region))).split()
    mobiles = _MOBILE_PREFIXES.get(region, "").split()
    return [
        *(_rate("dial_out", prefix, name, tariff) for prefix in prefixes),
        *(
            _rate("dial_out", prefix, f"{name}, mobile", tariff, tariff.mobile)
            for prefix in mobiles
        ),
    ]


def _special_rate(special: SpecialRange) -> RateJson:
    name = NAMES[special.region]
    if special.is_premium:
        return _rate("dial_out", special.prefix, f"{name}, premium rate", PREMIUM)
    is_far = _tariff(special.region) is FAR
    tariff = SHARED_COST_FAR if is_far else SHARED_COST
    return _rate("dial_out", special.prefix, f"{name}, shared cost", tariff)


def _tariff(region: str) -> ZoneTariff:
    if region in _NORTH_AMERICA:
        return NORTH_AMERICA
    if region in ZONE_A:
        return ZONE_A_TARIFF
    if region in _NEAR:
        return NEAR
    return MIDDLE if region in _MIDDLE else FAR


def _toll_rates() -> list[RateJson]:
    codes = sorted({str(phonenumbers.country_code_for_region(region)) for region in ZONE_A})
    return [_rate("dial_in", code, f"Toll, +{code}", TOLL) for code in codes]


def _toll_free_rates() -> list[RateJson]:
    """Toll-free callers cost by where they call from; a row without an origin takes all others."""
    rates = []
    for prefix in _TOLL_FREE_AMERICA:
        rates.append(_rate("dial_in", prefix, "Toll-free, North America", TOLL_FREE_DEAR))
        for origin in sorted(_NORTH_AMERICA):
            tariff = TOLL_FREE if origin == "US" else TOLL_FREE_DEAR
            rates.append(
                _rate("dial_in", prefix, f"Toll-free from {NAMES[origin]}", tariff, origin=origin)
            )
    for prefix, region in _TOLL_FREE.items():
        rates.append(_rate("dial_in", prefix, f"Toll-free, {NAMES[region]}", TOLL_FREE_DEAR))
    return rates


def _rate(
    kind: str,
    prefix: str,
    destination: str,
    tariff: ZoneTariff,
    price: str | None = None,
    origin: str | None = None,
) -> RateJson:
    rate: RateJson = {
        "kind": kind,
        "prefix": prefix,
        "destination": destination,
        "connection_fee": tariff.connection_fee,
        "slots": tariff.slots(tariff.fixed if price is None else price),
    }
    return rate if origin is None else {**rate, "origin": origin}


def _slot(from_second: int, price: str, increment_seconds: int) -> dict[str, object]:
    return {
        "from_second": from_second,
        "price": price,
        "unit_seconds": 60,
        "increment_seconds": increment_seconds,
    }


def _one_per_prefix(rates: list[RateJson]) -> list[RateJson]:
    """The first rate of each prefix: regions that share a code share its row."""
    found: dict[object, RateJson] = {}
    for rate in rates:
        found.setdefault(rate["prefix"], rate)
    return list(found.values())
