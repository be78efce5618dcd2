"""The console: static files of `console/dist`, without sign-in; the data comes from the API.

Names in `assets/` carry a hash of their contents and never change. Every other path is a page of
the console, so that each of its addresses can be opened directly. A file is compressed here, since
Azure's host compresses nothing.
"""

import gzip
import hashlib
import json
import mimetypes
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import azure.functions as func

from functions.http import new_blueprint
from shared.bootstrap import container
from shared.contracts.common.problems import PROBLEM_MEDIA_TYPE, problem
from shared.domain.common.errors import NotFound

bp = new_blueprint()
DIST = Path(__file__).resolve().parents[1] / "console" / "dist"
INDEX, ASSETS, CONFIG = "index.html", "assets/", "config.json"
ENTRA = "https://login.microsoftonline.com"
_IMMUTABLE = "public, max-age=31536000, immutable"
_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        f"connect-src 'self' {ENTRA}",
        f"frame-src {ENTRA}",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ]
)
SECURITY_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class _File:
    """A file of the response. `etag` is quoted."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str
    caching: str


@bp.function_name("get_console")
@bp.route("console/{*path}", methods=["GET", "HEAD"], auth_level=func.AuthLevel.ANONYMOUS)
async def get_console(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    """A file of the console; the page of the console for a path that is no file."""
    place = urlsplit(req.url).path
    if place.rstrip("/") == "/console" and not place.endswith("/"):
        return _redirect("/console/")
    path = str(req.route_params.get("path") or "")
    if path == CONFIG:
        return _send(req, _file(_config(), path))
    files = _files(DIST)
    file = files.get(path) or (None if path.startswith(ASSETS) else files.get(INDEX))
    if file is None:
        return _missing(place, context.invocation_id, is_built=bool(files))
    return _send(req, file)


@bp.function_name("get_root")
@bp.route(
    # Azure's way to name the root: an empty route would take the name of the function.
    "{root:maxlength(0)?}",
    methods=["GET", "HEAD"],
    auth_level=func.AuthLevel.ANONYMOUS,
)
async def get_root(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:  # noqa: ARG001
    """Redirect to the console."""
    return _redirect("/console/")


@cache
def _files(folder: Path) -> dict[str, _File]:
    """All files by path within the folder; none where the console was not built."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    paths = {path.relative_to(folder).as_posix(): path for path in files}
    return {name: _file(path.read_bytes(), name) for name, path in paths.items()}


def _file(content: bytes, path: str) -> _File:
    return _File(
        content,
        gzip.compress(content, mtime=0),
        mimetypes.guess_type(path)[0] or "application/octet-stream",
        f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        _IMMUTABLE if path.startswith(ASSETS) else "no-cache",
    )


def _config() -> bytes:
    """Settings that the console needs before a sign-in: Entra's address, if tokens are accepted."""
    settings = container().settings
    entra = (
        {"authority": f"{ENTRA}/{settings.entra_tenant}", "client_id": settings.entra_audience}
        if settings.entra_tenant
        else None
    )
    return json.dumps({"entra": entra, "version": settings.version}).encode()


def _send(req: func.HttpRequest, file: _File) -> func.HttpResponse:
    headers = {
        **SECURITY_HEADERS,
        "etag": file.etag,
        "cache-control": file.caching,
        "vary": "accept-encoding",
    }
    etags = {
        tag.strip().removeprefix("W/") for tag in req.headers.get("if-none-match", "").split(",")
    }
    if file.etag in etags or "*" in etags:
        return func.HttpResponse(status_code=304, headers=headers)
    accepted = req.headers.get("accept-encoding", "")
    is_compressed = any(
        name.strip().lower() == "gzip" and quality.strip() not in {"q=0", "q=0.0"}
        for name, _, quality in (each.partition(";") for each in accepted.split(","))
    )
    if is_compressed:
        headers["content-encoding"] = "gzip"
    return func.HttpResponse(
        file.compressed if is_compressed else file.content,
        headers=headers,
        mimetype=file.media_type,
        charset="utf-8",
    )


def _redirect(place: str) -> func.HttpResponse:
    headers = {**SECURITY_HEADERS, "location": place, "cache-control": "no-cache"}
    return func.HttpResponse(status_code=302, headers=headers)


def _missing(place: str, request_id: str, *, is_built: bool) -> func.HttpResponse:
    error = (
        NotFound(
            "No route has this path. Read /api/openapi.json for the routes.", code="path_unknown"
        )
        if is_built
        else NotFound(
            "The console is not built. Install Node.js and run `make setup`.",
            code="console_missing",
        )
    )
    document = problem(error, place)
    return func.HttpResponse(
        json.dumps({**document.body, "request_id": request_id}),
        status_code=document.status,
        headers=SECURITY_HEADERS,
        mimetype=PROBLEM_MEDIA_TYPE,
    )
