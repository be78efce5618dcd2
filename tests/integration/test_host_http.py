"""HTTP through the local Functions host behaves as in front of Azure's."""

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.parts import LOOPBACK
from tests.integration.hosting import Host, eventually, running_host, write_app

APP = """
def seen(req):
    return func.HttpResponse(json.dumps({
        "method": req.method, "url": req.url, "headers": dict(req.headers),
        "query": dict(req.params), "route": dict(req.route_params),
        "body": req.get_body().hex(),
    }), mimetype="application/json")

@app.function_name("echo")
@app.route(route="things/{thing}/parts/{part}", methods=["GET", "POST"])
async def echo(req: func.HttpRequest) -> func.HttpResponse:
    return seen(req)

@app.function_name("echo_put")
@app.route(route="things/{thing}/parts/{part}", methods=["PUT"])
async def echo_put(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("put")

@app.function_name("special")
@app.route(route="things/{thing}/parts/special", methods=["GET"])
def special(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("special", status_code=201)

@app.function_name("size")
@app.route(route="size", methods=["POST"])
async def size(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(str(len(req.get_body())))

@app.function_name("raises")
@app.route(route="raises", methods=["GET"])
async def raises(req: func.HttpRequest) -> func.HttpResponse:
    raise KeyError("secret-detail")

@app.function_name("slow")
@app.route(route="slow", methods=["GET"])
async def slow(req: func.HttpRequest) -> func.HttpResponse:
    await asyncio.sleep(30)

@app.function_name("lingers")
@app.route(route="lingers", methods=["GET"])
async def lingers(req: func.HttpRequest) -> func.HttpResponse:
    note(began=True)
    await asyncio.sleep(0.5)
    note(ended=True)
    return func.HttpResponse("")

@app.function_name("cookies")
@app.route(route="cookies", methods=["GET"])
async def cookies(req: func.HttpRequest) -> func.HttpResponse:
    response = func.HttpResponse("", status_code=202, headers={"X-Answer": "1"})
    response.headers.add("Set-Cookie", "a=1; HttpOnly")
    response.headers.add("Set-Cookie", "b=2")
    return response

@app.function_name("trace")
@app.route(route="trace", methods=["GET"])
async def trace(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(context.trace_context.Traceparent)
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("http")
    host_json = {
        "functionTimeout": "00:00:02",
        "extensions": {"http": {"routePrefix": "base"}},
    }
    with running_host(folder, write_app(folder / "app", APP, host_json), "http") as host:
        yield host


def test_an_encoded_slash_stays_inside_its_segment(host: Host) -> None:
    """Ids of others may hold any character: each segment is decoded after the split."""
    answer = host.request("GET", "/base/things/ken%40contoso.com/parts/a%2Fb~c%20d%C3%A9")

    assert answer.json()["route"] == {"thing": "ken@contoso.com", "part": "a/b~c dé"}


def test_a_segment_that_is_no_utf8_stays_as_it_came(host: Host) -> None:
    assert host.request("GET", "/base/things/%FF/parts/1").json()["route"]["thing"] == "%FF"


def test_header_names_are_lower_case_and_repeated_ones_joined(host: Host) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, host.port, 10)
    connection.putrequest("GET", "/base/things/1/parts/2")
    connection.putheader("X-Thing", "one")
    connection.putheader("x-thing", "two")
    connection.endheaders()
    headers = json.loads(connection.getresponse().read())["headers"]
    connection.close()

    assert headers["x-thing"] == "one,two"
    assert all(name == name.lower() for name in headers)


def test_empty_query_values_are_dropped_and_repeated_ones_joined(host: Host) -> None:
    answer = host.request("GET", "/base/things/1/parts/2?a=1&b=&a=2&c=x%20y").json()

    assert answer["query"] == {"a": "1,2", "c": "x y"}
    assert answer["url"].endswith("/base/things/1/parts/2?a=1&b=&a=2&c=x%20y")


def test_a_body_arrives_byte_for_byte(host: Host) -> None:
    """Signatures are computed over the raw body."""
    body = bytes(range(256)) * 3

    assert host.request("POST", "/base/things/1/parts/2", body).json()["body"] == body.hex()


def test_a_chunked_body_arrives_empty_as_in_azure(host: Host) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, host.port, 10)
    connection.request("POST", "/base/size", iter([b"one", b"two"]), encode_chunked=True)
    response = connection.getresponse()

    assert (response.status, response.read()) == (200, b"0")
    connection.close()


def test_a_body_that_is_too_large_is_refused_before_it_is_sent(host: Host) -> None:
    request = (
        b"POST /base/size HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        b"Content-Length: 999999999999\r\n\r\n"
    )
    assert _raw(host, request).startswith(b"HTTP/1.1 413 ")


def test_a_caller_that_expects_100_continue_gets_it(host: Host) -> None:
    """curl sends `Expect: 100-continue` with large bodies."""
    request = (
        b"POST /base/size HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
    )
    assert _raw(host, request).startswith(b"HTTP/1.1 100 Continue\r\n")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/base/nothing"),
        ("GET", "/things/1/parts/2"),
        ("GET", "/base/things/1/parts/"),
        ("GET", "/base/things//parts/2"),
        ("DELETE", "/base/things/1/parts/2"),
        ("HEAD", "/base/things/1/parts/2"),
    ],
)
def test_what_no_function_takes_is_404_without_a_body(host: Host, method: str, path: str) -> None:
    answer = host.request(method, path)

    assert (answer.status, answer.body) == (404, b"")


def test_a_path_leads_to_the_function_of_its_method(host: Host) -> None:
    assert host.request("PUT", "/base/things/1/parts/2", b"").body == b"put"


def test_the_literal_route_wins_and_case_is_ignored(host: Host) -> None:
    answer = host.request("GET", "/Base/THINGS/1/parts/Special")

    assert (answer.status, answer.body) == (201, b"special")


def test_a_function_that_raises_is_an_empty_500(host: Host) -> None:
    answer = host.request("GET", "/base/raises")

    assert (answer.status, answer.body) == (500, b"")


def test_a_function_over_its_time_is_an_empty_500(host: Host) -> None:
    answer = host.request("GET", "/base/slow")

    assert (answer.status, answer.body) == (500, b"")


def test_a_caller_that_hangs_up_does_not_stop_the_function(host: Host) -> None:
    with socket.create_connection((LOOPBACK, host.port)) as connection:
        connection.sendall(b"GET /base/lingers HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: {"began": True} in host.notes())

    eventually(lambda: {"ended": True} in host.notes())


def test_status_headers_and_every_cookie_come_back(host: Host) -> None:
    answer = host.request("GET", "/base/cookies")
    cookies = [value for name, value in answer.headers if name.lower() == "set-cookie"]

    assert answer.status == 202
    assert ("X-Answer", "1") in answer.headers
    assert cookies == ["a=1; HttpOnly", "b=2"]


def test_the_trace_of_the_caller_goes_on(host: Host) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    assert host.request("GET", "/base/trace", headers={"traceparent": trace}).body == trace.encode()
    assert len(host.request("GET", "/base/trace").body) == len(trace)


def _raw(host: Host, request: bytes) -> bytes:
    with socket.create_connection((LOOPBACK, host.port), 10) as connection:
        connection.sendall(request)
        return connection.recv(1000)


def test_a_running_request_is_answered_while_the_host_stops(tmp_path: Path) -> None:
    with (
        running_host(tmp_path, write_app(tmp_path / "app", APP), "http") as host,
        socket.create_connection((LOOPBACK, host.port), 10) as connection,
    ):
        connection.sendall(b"GET /api/lingers HTTP/1.1\r\nHost: x\r\n\r\n")
        eventually(lambda: {"began": True} in host.notes())
        host.part.request_stop()

        assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
