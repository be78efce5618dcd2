"""XML as vendors post it: read by expat, without a document type, to a bounded depth."""

from typing import NamedTuple
from xml.parsers.expat import ExpatError, ParserCreate

from shared.domain.common.errors import BadRequest
from shared.domain.common.limits import JSON_DEPTH_MAX, XML_ELEMENTS_MAX


class Element(NamedTuple):
    """An element: the names from the root to it, its attributes, and its own text."""

    path: tuple[str, ...]
    attributes: dict[str, str]
    text: str


def elements(body: bytes) -> list[Element]:
    """The elements of a document in the order of their ends. Raises BadRequest for a document that
    is not well-formed, has a document type, or exceeds a limit."""
    found: list[Element] = []
    path: list[str] = []
    open_ones: list[tuple[dict[str, str], list[str]]] = []
    parser = ParserCreate("utf-8")
    parser.buffer_text = True

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(path) >= JSON_DEPTH_MAX or len(found) >= XML_ELEMENTS_MAX:
            raise BadRequest("The XML has too many levels or elements. Send smaller posts.")
        path.append(name)
        open_ones.append((attributes, []))

    def text(part: str) -> None:
        open_ones[-1][1].append(part)

    def end(_: str) -> None:
        attributes, parts = open_ones.pop()
        found.append(Element(tuple(path), attributes, "".join(parts)))
        path.pop()

    def doctype(*_: object) -> None:
        raise BadRequest("The XML has a document type. Send it without one.")

    parser.StartElementHandler = start
    parser.CharacterDataHandler = text
    parser.EndElementHandler = end
    parser.StartDoctypeDeclHandler = doctype
    # Names of callers come in any encoding; nothing that is read depends on a byte that is lost.
    clean = body.decode("utf-8", "replace").encode()
    try:
        parser.Parse(clean, True)
    except ExpatError as error:
        raise BadRequest(f"The XML is not well-formed: line {error.lineno}. Correct it.") from None
    return found
