"""Countries and territories as libphonenumber knows them: names, Zone A, what Teams sells there.

A region is an ISO 3166-1 alpha-2 code, `AC`, `TA` or `XK`, or `001` for the international networks.
"""

from dataclasses import dataclass
from enum import StrEnum

INTERNATIONAL = "001"

_NAMES = """
AC Ascension Island|AD Andorra|AE United Arab Emirates|AF Afghanistan|AG Antigua and Barbuda
AI Anguilla|AL Albania|AM Armenia|AO Angola|AR Argentina|AS American Samoa|AT Austria|AU Australia
AW Aruba|AX Åland Islands|AZ Azerbaijan|BA Bosnia and Herzegovina|BB Barbados|BD Bangladesh
BE Belgium|BF Burkina Faso|BG Bulgaria|BH Bahrain|BI Burundi|BJ Benin|BL Saint Barthélemy
BM Bermuda|BN Brunei|BO Bolivia|BQ Caribbean Netherlands|BR Brazil|BS Bahamas|BT Bhutan
BW Botswana|BY Belarus|BZ Belize|CA Canada|CC Cocos (Keeling) Islands
CD Congo (Democratic Republic)|CF Central African Republic|CG Congo (Republic)|CH Switzerland
CI Côte d'Ivoire|CK Cook Islands|CL Chile|CM Cameroon|CN China|CO Colombia|CR Costa Rica|CU Cuba
CV Cape Verde|CW Curaçao|CX Christmas Island|CY Cyprus|CZ Czech Republic|DE Germany|DJ Djibouti
DK Denmark|DM Dominica|DO Dominican Republic|DZ Algeria|EC Ecuador|EE Estonia|EG Egypt
EH Western Sahara|ER Eritrea|ES Spain|ET Ethiopia|FI Finland|FJ Fiji|FK Falkland Islands
FM Micronesia|FO Faroe Islands|FR France|GA Gabon|GB United Kingdom|GD Grenada|GE Georgia
GF French Guiana|GG Guernsey|GH Ghana|GI Gibraltar|GL Greenland|GM Gambia|GN Guinea|GP Guadeloupe
GQ Equatorial Guinea|GR Greece|GT Guatemala|GU Guam|GW Guinea-Bissau|GY Guyana|HK Hong Kong
HN Honduras|HR Croatia|HT Haiti|HU Hungary|ID Indonesia|IE Ireland|IL Israel|IM Isle of Man
IN India|IO British Indian Ocean Territory|IQ Iraq|IR Iran|IS Iceland|IT Italy|JE Jersey|JM Jamaica
JO Jordan|JP Japan|KE Kenya|KG Kyrgyzstan|KH Cambodia|KI Kiribati|KM Comoros
KN Saint Kitts and Nevis|KP North Korea|KR South Korea|KW Kuwait|KY Cayman Islands|KZ Kazakhstan
LA Laos|LB Lebanon|LC Saint Lucia|LI Liechtenstein|LK Sri Lanka|LR Liberia|LS Lesotho|LT Lithuania
LU Luxembourg|LV Latvia|LY Libya|MA Morocco|MC Monaco|MD Moldova|ME Montenegro
MF Saint Martin (French part)|MG Madagascar|MH Marshall Islands|MK North Macedonia|ML Mali
MM Myanmar|MN Mongolia|MO Macao|MP Northern Mariana Islands|MQ Martinique|MR Mauritania
MS Montserrat|MT Malta|MU Mauritius|MV Maldives|MW Malawi|MX Mexico|MY Malaysia|MZ Mozambique
NA Namibia|NC New Caledonia|NE Niger|NF Norfolk Island|NG Nigeria|NI Nicaragua|NL Netherlands
NO Norway|NP Nepal|NR Nauru|NU Niue|NZ New Zealand|OM Oman|PA Panama|PE Peru|PF French Polynesia
PG Papua New Guinea|PH Philippines|PK Pakistan|PL Poland|PM Saint Pierre and Miquelon
PR Puerto Rico|PS Palestinian Territories|PT Portugal|PW Palau|PY Paraguay|QA Qatar|RE Réunion
RO Romania|RS Serbia|RU Russia|RW Rwanda|SA Saudi Arabia|SB Solomon Islands|SC Seychelles|SD Sudan
SE Sweden|SG Singapore|SH Saint Helena|SI Slovenia|SJ Svalbard and Jan Mayen|SK Slovakia
SL Sierra Leone|SM San Marino|SN Senegal|SO Somalia|SR Suriname|SS South Sudan
ST São Tomé and Príncipe|SV El Salvador|SX Sint Maarten|SY Syria|SZ Eswatini|TA Tristan da Cunha
TC Turks and Caicos Islands|TD Chad|TG Togo|TH Thailand|TJ Tajikistan|TK Tokelau|TL Timor-Leste
TM Turkmenistan|TN Tunisia|TO Tonga|TR Türkiye|TT Trinidad and Tobago|TV Tuvalu|TW Taiwan
TZ Tanzania|UA Ukraine|UG Uganda|US United States|UY Uruguay|UZ Uzbekistan|VA Vatican City
VC Saint Vincent and the Grenadines|VE Venezuela|VG British Virgin Islands
VI United States Virgin Islands|VN Vietnam|VU Vanuatu|WF Wallis and Futuna|WS Samoa|XK Kosovo
YE Yemen|YT Mayotte|ZA South Africa|ZM Zambia|ZW Zimbabwe
"""
NAMES: dict[str, str] = {
    item[:2]: item[3:] for line in _NAMES.strip().splitlines() for item in line.split("|")
}
NAMES[INTERNATIONAL] = "International network"

_ZONE_A = """
AU AT BE BR BG CA CN HR CZ DK EE FI FR DE GR HK HU IN IE IT JP LU MY MX NL NZ NO PL PT PR RO
RU SG SK SI ZA KR ES SE CH TW TH GB US
"""
ZONE_A = frozenset(_ZONE_A.split())
"""The 44 destinations of the Teams policies `…ZoneA…` and of the included minutes."""


class MeetingDialOut(StrEnum):
    """The availability of dial-out from Teams meetings for customers of a country (September
    2022)."""

    INCLUDED = "included"
    NEEDS_CREDITS = "needs_credits"
    NOT_FOR_LOCAL_CUSTOMERS = "not_for_local_customers"


class PremiumNumbers(StrEnum):
    """Whether Teams dials a country's premium numbers (September 2022)."""

    DIALLED = "dialled"
    SHARED_COST_ONLY = "shared_cost_only"
    REFUSED = "refused"
    NOT_STATED = "not_stated"


@dataclass(frozen=True, slots=True)
class Availability:
    """The offer of Teams in one of the 114 countries with a separate page.

    `conferencing` is "yes", "no" or "partner" (sold by a local operator).
    """

    conferencing: str
    meeting_dial_out: MeetingDialOut
    credits_sold: bool
    toll_free_numbers: bool
    premium_numbers: PremiumNumbers


# ! no audio conferencing is sold, ~ only by a local operator, - no credits are sold,
# * toll-free service numbers can be had; premium numbers: + dialled, / shared cost only, x refused
_OFFERS = """
AE* AG* AL AR* AT*+ AU* BA* BB* BD BE*x BG* BH!- BJ BM* BN!* BR* BS* BY* BZ* CA*x CH*x CL* CM CN-*
CO* CR CY* CZ*x DE*x DK*x DM* DO DZ EC* EE*x EG ES*x FI*x FR*+ GB*/ GD* GE GH GR* GT GU* HK* HN*
HR*x HU*x ID* IE*x IL* IN~-* IT*x JM* JO JP* KE* KH KN* KR-* KW KY* KZ!- LC* LK LTx LU*x LV*x MA
MC* MD* MK!-* MP* MT MX* MY* NG NI!- NL*x NO*x NZ*x PA* PE* PH* PK!- PL*x PR*x PT*x PY* QA* RO*x
RS* RU- SA* SE*x SG*x SI*x SK*x SV TC* TH* TN TR* TT* TW-* UA- UG US*x UY* VE* VN* ZA*x
"""


def country_name(region: str | None) -> str:
    """The English name of a region; the code itself where none is known, "" for None."""
    return "" if region is None else NAMES.get(region, region)


def availability(region: str) -> Availability | None:
    """The offer of Teams in a region; None where it has no page (credits dial it nevertheless)."""
    marks = _MARKS.get(region)
    if marks is None:
        return None
    conferencing = "no" if "!" in marks else "partner" if "~" in marks else "yes"
    premium = next((mean for mark, mean in _PREMIUM.items() if mark in marks), None)
    return Availability(
        conferencing,
        _dial_out(region),
        credits_sold="-" not in marks,
        toll_free_numbers="*" in marks,
        premium_numbers=premium or PremiumNumbers.NOT_STATED,
    )


def offer(region: str) -> str:
    """The documentation of Teams about dial-out to a region, in a sentence; it decides nothing
    here."""
    available = availability(region)
    if available is None:
        return "Teams has no page of it, and dials it for credits."
    if available.meeting_dial_out is MeetingDialOut.NEEDS_CREDITS:
        return "Teams dials it for credits."
    if available.meeting_dial_out is MeetingDialOut.INCLUDED:
        return "Zone A, so subscriptions have included minutes for it."
    return "Zone A; Teams offers its own customers there no dial-out."


def _dial_out(region: str) -> MeetingDialOut:
    if region == "CN":
        return MeetingDialOut.NOT_FOR_LOCAL_CUSTOMERS
    return MeetingDialOut.INCLUDED if region in ZONE_A else MeetingDialOut.NEEDS_CREDITS


_PREMIUM = {
    "+": PremiumNumbers.DIALLED,
    "/": PremiumNumbers.SHARED_COST_ONLY,
    "x": PremiumNumbers.REFUSED,
}
_MARKS = {item[:2]: item[2:] for item in _OFFERS.split()}
