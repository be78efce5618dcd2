"""The HTTP client: sends calls, repeats those that are safe, turns problems into failures."""

import json
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from perminute_cli import __version__
from perminute_cli.calls import Call, Listing
from perminute_cli.failures import USAGE, Failure, NoAnswer, Problem, advice

if TYPE_CHECKING:
    import httpx

CONNECT_SECONDS_MAX = 10.0
ANSWER_SECONDS_MAX = 300.0
TRIES_MAX = 4
WAIT_SECONDS_MAX = 30.0
PAGE_ITEMS = 1000
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
# The command line of httpx takes most of the time of importing httpx, which does without it.
sys.modules.setdefault("httpx._main", None)  # type: ignore[arg-type]


@dataclass
class Client:
    """A client of one server. `transport` and `sleep` are replaced by tests."""

    base_url: str
    key: str
    transport: "httpx.BaseTransport | None" = None
    sleep: Callable[[float], None] = time.sleep

    def json[T](self, call: Call[T]) -> T:
        """The answer to a call."""
        return self.answer(call)[0]

    def answer[T](self, call: Call[T]) -> tuple[T, Mapping[str, str]]:
        """The answer to a call, and its header fields. Raises Failure."""
        response = self.send(call)
        if response.status_code == 204:
            return {}, response.headers  # type: ignore[return-value]
        value = _document(response)
        if value is None:
            raise _no_perminute(self.base_url)
        return value, response.headers  # type: ignore[return-value]

    def items[T](self, call: Listing[T], limit: int | None = None) -> Iterator[T]:
        """The items of a list, page by page, at most `limit`. Raises Failure."""
        cursor: str | None = None
        left = limit
        while left is None or left > 0:
            size = PAGE_ITEMS if left is None else min(left, PAGE_ITEMS)
            query = {**call.query, "limit": str(size), **({"cursor": cursor} if cursor else {})}
            page: Any = self.json(replace(call, query=query))
            if not isinstance(page, dict) or not isinstance(page.get("items"), list):
                raise _no_perminute(self.base_url)
            yield from page["items"][:left]
            following = page.get("next")
            if following is not None and following == cursor:
                raise _no_perminute(self.base_url)  # it would never end
            cursor = following
            left = None if left is None else left - len(page["items"])
            if not cursor:
                return

    def chunks(self, call: Call[Any], accept: str) -> Iterator[bytes]:
        """The bytes of an answer of another type than JSON, as they come. A request that a
        busy server refuses is sent again. Raises Failure."""
        import httpx

        wanted = replace(call, headers={**call.headers, "Accept": accept})
        try:
            for number in range(1, TRIES_MAX + 1):
                response = self._http.send(self._request(wanted), stream=True)
                wait = _wait_seconds(response)
                if wait is None or number == TRIES_MAX:
                    break
                response.close()
                self.sleep(wait)
            try:
                if response.status_code >= 400:
                    response.read()
                    raise _problem(response, self.base_url)
                kind = response.headers.get("content-type", "").partition(";")[0].strip()
                if kind != accept or response.status_code >= 300:
                    raise _no_perminute(self.base_url)
                yield from response.iter_bytes()
            finally:
                response.close()
        except httpx.RequestError as error:
            raise _transport_failure(error, self.base_url, is_known=True) from None

    def send(self, call: Call[Any]) -> "httpx.Response":
        """The response to a call. A call that changes nothing, or that carries an idempotency key,
        is sent again when its answer is lost. Raises Failure."""
        import httpx

        is_safe = call.method == "GET" or "Idempotency-Key" in call.headers
        for number in range(1, TRIES_MAX + 1):
            is_last = number == TRIES_MAX
            try:
                response = self._http.send(self._request(call))
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                is_first = number == 1 or call.method == "GET"
                raise _transport_failure(error, self.base_url, is_known=is_first) from None
            except httpx.RequestError as error:
                if is_last or not is_safe:
                    raise _transport_failure(
                        error, self.base_url, is_known=call.method == "GET"
                    ) from None
                self.sleep(0.25 * 2**number)
                continue
            if response.status_code < 300:
                return response
            wait = _wait_seconds(response)
            if is_last or wait is None or not (is_safe or response.status_code == 429):
                raise _problem(response, self.base_url)
            self.sleep(wait)
        raise AssertionError("the last try returns or raises")

    @cached_property
    def _http(self) -> "httpx.Client":
        import httpx

        host = urlsplit(self.base_url).hostname or ""
        try:
            return httpx.Client(
                base_url=self.base_url,
                timeout=httpx.Timeout(ANSWER_SECONDS_MAX, connect=CONNECT_SECONDS_MAX),
                transport=self.transport,
                trust_env=host not in LOOPBACK,
            )
        except (httpx.InvalidURL, ImportError, OSError, ValueError) as error:
            raise Failure(
                f"The URL, the proxy or the certificates can't be used ({error}).",
                "Check the URL, and HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and SSL_CERT_FILE.",
                USAGE,
            ) from None

    def _request(self, call: Call[Any]) -> "httpx.Request":
        headers = {
            "Authorization": f"Bearer {self.key}",
            "User-Agent": f"perminute-cli/{__version__}",
            "Accept": "application/json",
        }
        content = call.body
        if content is not None and not isinstance(content, bytes):
            content = json.dumps(content, ensure_ascii=False).encode()
            headers["Content-Type"] = "application/json"
        assert content is None or isinstance(content, bytes)
        return self._http.build_request(
            call.method,
            f"/api{call.path}" if not call.path.startswith("/api") else call.path,
            params=dict(call.query),
            content=content,
            headers={**headers, **call.headers},
        )


def _wait_seconds(response: "httpx.Response") -> float | None:
    """The seconds after which the server is worth another request, None if it is not."""
    if response.status_code not in {429, 503}:
        return None
    text = response.headers.get("retry-after", "1")
    seconds = float(text) if text.isascii() and text.isdecimal() else 1.0
    return seconds if seconds <= WAIT_SECONDS_MAX else None


def _problem(response: "httpx.Response", base_url: str) -> Failure:
    document: Any = None
    if response.headers.get("content-type", "").startswith("application/problem+json"):
        document = _document(response)
    request_id = response.headers.get("x-request-id")
    status = response.status_code
    if document is None:
        if request_id is None and status < 500:
            return _no_perminute(base_url, status)
        what = f"The server answered {status} {response.reason_phrase}.".replace(" .", ".")
        if status >= 500:
            return NoAnswer(what, advice("unavailable", 503), request_id=request_id)
        return Problem(what, advice("", status), request_id=request_id, status=status)
    code = str(document.get("code", ""))
    detail = str(document.get("detail") or document.get("title") or "The request failed.")
    places = tuple(
        f"{_place(str(each['pointer']))}: {each.get('detail')}"
        if each.get("pointer")
        else str(each.get("detail"))
        for each in document.get("errors") or []
        if isinstance(each, dict) and (each.get("pointer") or str(each.get("detail")) not in detail)
    )
    one = places[0] if len(places) == 1 else ""
    what = f"{detail} {one}".strip() + f" ({status} {code})"
    to_do = advice(code, status)
    request_id = str(document.get("request_id") or request_id or "") or None
    several = () if one else places
    if status >= 500:
        return NoAnswer(what, to_do, request_id=request_id, places=several)
    return Problem(
        what,
        to_do,
        request_id=request_id,
        places=several,
        status=status,
        code=code,
        document=document,
    )


def _place(pointer: str) -> str:
    """A place of a file as `line 7, price`; another pointer as it is."""
    found = re.fullmatch(r"/lines/([0-9]{1,9})(?:/(.*))?", pointer, re.DOTALL)
    if found is None:
        return pointer
    column = (found[2] or "").replace("~1", "/").replace("~0", "~")
    return f"line {found[1]}" + (f", {column}" if column else "")


def _document(response: "httpx.Response") -> dict[str, Any] | None:
    """The JSON object of a response, None where there is none."""
    try:
        value = response.json()
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _no_perminute(base_url: str, status: int | None = None) -> Failure:
    suffix = f" (HTTP {status})" if status else ""
    return Failure(
        f"{base_url} answers, but not as Perminute does{suffix}.",
        "Check the URL: it is the beginning of the address, without /api.",
    )


def _transport_failure(error: "httpx.RequestError", base_url: str, *, is_known: bool) -> Failure:
    import httpx

    never_sent = httpx.ConnectError | httpx.ConnectTimeout | httpx.UnsupportedProtocol
    if is_known and isinstance(error, never_sent):
        return Failure(
            f"{base_url} can't be reached ({str(error) or 'no answer in time'}).",
            "Check the URL (--url, PERMINUTE_URL or `perminute login`) and that the server runs.",
        )
    why = str(error) or type(error).__name__
    if is_known:
        return Failure(f"The answer of {base_url} was lost ({why}).", "Run the command again.")
    return NoAnswer(
        f"The answer of {base_url} was lost ({why}): it may have been carried out.",
        "Run the same command again: it has no effect twice.",
    )
