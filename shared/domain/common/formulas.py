"""Texts that a spreadsheet takes for a formula where it opens a CSV file.

A name or a reference is refused where it would be one; of a foreign text, such as the name of a
conference, CSV keeps every letter and puts an apostrophe before it.
"""

import re
import unicodedata

FORMULA_RULE = (
    "must not begin with =, +, -, @ or a control character, which a spreadsheet takes for a formula"
)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+|\*+)?", re.ASCII)
_SIGNS = frozenset("=+-@")
# In many countries a spreadsheet splits a CSV file at semicolons, quoted or not.
_CELL_ENDS = re.compile(r"(?<=[;|\t\r\n])")
_PLAIN = re.compile(r"([A-Za-z0-9('\"][^;|\t\r\n]*)?")


def is_formula(text: str) -> bool:
    """True if a spreadsheet may take the text, or what follows a semicolon in it, for a formula.

    Numbers are none: "+442079460000", "+442079460***", "-3.20".
    """
    return _PLAIN.fullmatch(text) is None and any(map(_begins_formula, _CELL_ENDS.split(text)))


def escape_formulas(text: str) -> str:
    """The text, with an apostrophe in front if a spreadsheet would take it for a formula."""
    if not is_formula(text):
        return text
    cells = _CELL_ENDS.split(text)
    return "".join(f"'{cell}" if _begins_formula(cell) else cell for cell in cells)


def _begins_formula(cell: str) -> bool:
    if _NUMBER.fullmatch(cell.rstrip(";|\t\r\n")):
        return False
    for letter in cell:
        category = unicodedata.category(letter)
        if category == "Cc":
            return True
        if category not in {"Cf", "Zs"}:  # what no one sees does not hide what follows
            return unicodedata.normalize("NFKC", letter)[0] in _SIGNS
    return False
