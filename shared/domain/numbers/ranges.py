"""Ranges where libphonenumber's class is not what the call costs, and ranges known for toll fraud.

Prefixes are E.164 digits without `+`. The longest prefix that fits a number decides.
"""

from collections.abc import Mapping

from shared.domain.numbers.classes import NumberClass

CLASS_OVERRIDES: dict[str, NumberClass] = {
    # United Kingdom: libphonenumber says premium; Teams and the regulator have them as shared cost
    "44842": NumberClass.SHARED_COST,
    "44843": NumberClass.SHARED_COST,
    "44844": NumberClass.SHARED_COST,
    "44845": NumberClass.SHARED_COST,
    "44870": NumberClass.SHARED_COST,
    "44871": NumberClass.SHARED_COST,
    "44872": NumberClass.SHARED_COST,
    "44873": NumberClass.SHARED_COST,
    # Inmarsat, and the satellite operators' shared code: libphonenumber says mobile
    "870": NumberClass.SATELLITE,
    "881": NumberClass.SATELLITE,
    # Networks without a country: libphonenumber says VoIP, mobile or voicemail
    "878": NumberClass.INTERNATIONAL_NETWORK,
    "882": NumberClass.INTERNATIONAL_NETWORK,
    "88216": NumberClass.SATELLITE,  # Thuraya
    "883": NumberClass.INTERNATIONAL_NETWORK,
    "888": NumberClass.INTERNATIONAL_NETWORK,
}

HIGH_RISK: dict[str, str] = {
    "213": "Algeria",
    "216": "Tunisia",
    "220": "Gambia",
    "222": "Mauritania",
    "223": "Mali",
    "224": "Guinea",
    "226": "Burkina Faso",
    "231": "Liberia",
    "232": "Sierra Leone",
    "235": "Chad",
    "236": "Central African Republic",
    "239": "São Tomé and Príncipe",
    "240": "Equatorial Guinea",
    "242": "Congo (Republic)",
    "243": "Congo (Democratic Republic)",
    "246": "British Indian Ocean Territory",
    "247": "Ascension Island",
    "252": "Somalia",
    "257": "Burundi",
    "261": "Madagascar",
    "263": "Zimbabwe",
    "265": "Malawi",
    "269": "Comoros",
    "290": "Saint Helena",
    "291": "Eritrea",
    "3712": "Latvia, mobile",
    "3706": "Lithuania, mobile",
    "38760": "Bosnia and Herzegovina, mobile",
    "3816": "Serbia, mobile",
    "4470": "United Kingdom, personal numbers",
    "53": "Cuba",
    "670": "Timor-Leste",
    "674": "Nauru",
    "675": "Papua New Guinea",
    "677": "Solomon Islands",
    "678": "Vanuatu",
    "681": "Wallis and Futuna",
    "682": "Cook Islands",
    "683": "Niue",
    "685": "Samoa",
    "686": "Kiribati",
    "688": "Tuvalu",
    "690": "Tokelau",
    "692": "Marshall Islands",
    "850": "North Korea",
    "870": "Inmarsat",
    "881": "Satellite networks",
    "882": "International networks",
    "883": "International networks",
    "960": "Maldives",
    "967": "Yemen",
    "979": "International premium rate",
}
"""Frequent destinations of revenue share fraud; an account may block them as one."""


def longest_prefix(digits: str, prefixes: Mapping[str, object]) -> str | None:
    """The longest of the prefixes that the digits start with, or None."""
    for length in range(min(len(digits), _PREFIX_DIGITS_MAX), 0, -1):
        if digits[:length] in prefixes:
            return digits[:length]
    return None


_PREFIX_DIGITS_MAX = 15
