"""Credits are booked once, however often a command is run, on the product in this process."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from perminute_cli.pending import folder, pending_key
from tests.cli.fakes import Terminal, product_transport
from tests.support.product import ADMIN_KEY, Product


class Losing(httpx.BaseTransport):
    """A server whose first answers to POST are lost after it did what was requested."""

    def __init__(self, server: httpx.BaseTransport, losses: int) -> None:
        self.server, self.losses = server, losses
        self.keys: list[str] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        answer = self.server.handle_request(request)
        if request.method == "POST":
            self.keys.append(request.headers["idempotency-key"])
            if self.losses:
                self.losses -= 1
                raise httpx.ReadError("connection reset")
        return answer


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Iterator[Product]:
    monkeypatch.setenv("PERMINUTE_KEY", ADMIN_KEY)
    with Product() as made:
        made.account("contoso")
        yield made


def entries(app: Product) -> list[str]:
    items = app.get("/api/v1/accounts/contoso/entries").json["items"]
    return [each["amount"] for each in items]


def test_a_lost_answer_is_requested_again_under_the_same_key(app: Product) -> None:
    server = Losing(product_transport(app), losses=1)

    ran = Terminal(server)("top-up", "100", "--account", "contoso", "--yes")

    assert ran.code == 0
    assert "It was booked before" in ran.out
    assert len(set(server.keys)) == 1
    assert len(server.keys) == 2
    assert entries(app) == ["100.00"]


@pytest.mark.parametrize(
    "command", [("top-up", "100"), ("adjust", "5", "--reason", "Goodwill")], ids=" ".join
)
def test_a_command_that_got_no_answer_is_safe_to_repeat(
    command: tuple[str, ...], app: Product
) -> None:
    server = Losing(product_transport(app), losses=4)
    perminute = Terminal(server)

    first = perminute(*command, "--account", "contoso", "--yes")
    again = perminute(*command, "--account", "contoso", "--yes")

    assert first.code == 1
    assert "Run the same command again" in first.err
    assert again.code == 0
    assert "got no answer" in again.err
    assert len(set(server.keys)) == 1
    assert len(entries(app)) == 1

    third = perminute(*command, "--account", "contoso", "--yes")
    assert third.code == 0
    assert len(entries(app)) == 2


def test_a_server_that_goes_away_after_it_booked_leaves_the_key(app: Product) -> None:
    """The second try is refused a connection: the first may have been carried out."""
    server = product_transport(app)

    def once(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return server.handle_request(request)
        if not entries(app):
            server.handle_request(request)
            raise httpx.ReadError("reset")
        raise httpx.ConnectError("refused")

    command = ("top-up", "100", "--account", "contoso", "--yes")
    first = Terminal(httpx.MockTransport(once))(*command)
    assert first.code == 1
    assert "may have been carried out" in first.err
    again = Terminal(server)(*command)
    assert "It was booked before" in again.out
    assert entries(app) == ["100.00"]


def test_a_key_of_a_process_that_still_runs_is_its_own(
    app: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two commands at the same time are two bookings; a lost one is taken over once."""
    address = ("http://127.0.0.1:7071", "/v1/accounts/contoso/top-ups", {"amount": "1"}, None)
    with pending_key(*address) as first, pending_key(*address) as second:
        assert first.key != second.key
        assert not second.is_repeated
        second.settle()
    with pending_key(*address) as again:
        assert (again.key, again.is_repeated) == (first.key, True)
        with pending_key(*address) as other:
            assert other.key != again.key
            other.settle()
    monkeypatch.setattr("time.time", lambda: 4_000_000_000.0)
    with pending_key(*address) as late:
        assert late.key != first.key


@pytest.mark.parametrize("content", ["", "{", "[]", '{"key": "k"}', '{"key": "k", "since": "x"}'])
def test_a_damaged_file_of_a_key_is_no_key(content: str) -> None:
    address = ("http://127.0.0.1:7071", "/v1/accounts/contoso/top-ups", {"amount": "1"}, None)
    with pending_key(*address) as first:
        pass
    assert first.path is not None
    first.path.write_text(content)
    with pending_key(*address) as second:
        assert (second.key == first.key, second.is_repeated) == (False, False)
    assert [path.name for path in folder().iterdir()] == [second.path and second.path.name]


def test_where_no_key_can_be_stored_the_command_states_it(
    app: Product, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    ran = Terminal(product_transport(app))("top-up", "1", "--account", "contoso", "--yes")
    assert ran.code == 0
    assert "can't be stored" in ran.err


def test_another_amount_is_another_booking(app: Product) -> None:
    perminute = Terminal(Losing(product_transport(app), losses=4))
    assert perminute("top-up", "100", "--account", "contoso", "--yes").code == 1
    assert perminute("top-up", "50", "--account", "contoso", "--yes").code == 0
    assert entries(app) == ["100.00", "50.00"]


def test_a_stated_key_books_once(app: Product) -> None:
    perminute = Terminal(product_transport(app))
    command = ("top-up", "7.5", "--account", "contoso", "--yes", "--idempotency-key", "po-1")
    assert [perminute(*command).code for _ in range(3)] == [0, 0, 0]
    assert entries(app) == ["7.50"]
    other = perminute("top-up", "8", *command[2:])
    assert other.code == 1
    assert "idempotency_key_reused" in other.err
    for key in ("", "é", "a b", "a\nb"):
        odd = perminute("top-up", "8", *command[2:-1], key)
        assert (odd.code, len(odd.err.splitlines())) == (2, 2), key


def test_without_a_terminal_nothing_is_changed_unless_yes(app: Product) -> None:
    perminute = Terminal(product_transport(app))
    ran = perminute("top-up", "100", "--account", "contoso", stdin="y\n")
    assert ran.code == 2
    assert "balance 0.00 → 100.00 USD" in ran.err
    assert "Add --yes" in ran.err
    assert entries(app) == []


@pytest.mark.parametrize(
    "amount", ["", "0", "-1", "1e9", "٣", "1,50", "9" * 400, "NaN", "1.0000001", "12.5 USD"]
)
def test_what_is_no_amount_is_a_usage_error(amount: str, app: Product) -> None:
    ran = Terminal(product_transport(app))("top-up", "--account", "contoso", "--yes", "--", amount)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2
    assert entries(app) == []


def test_a_huge_amount_is_shown_whole_or_refused(app: Product) -> None:
    perminute = Terminal(product_transport(app))
    ran = perminute("top-up", "999999999999999", "--account", "contoso", "--yes")
    assert ran.code in {0, 1}
    assert "999999999999999.00" in ran.err
