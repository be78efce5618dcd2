"""Damaged rows, two processes at once, rotated keys: what days and alarms survive."""

import copy
import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import shared.usecases.proof.proof_keys as proof_keys
from shared.adapters.ed25519 import Ed25519Signer
from shared.adapters.proof.proof_days import TableProofs, day_rows
from shared.domain.common import limits
from shared.domain.common.errors import Conflict
from shared.domain.proof.roots import ProofKey, SignedRoot, read_root, signed_bytes
from shared.ports.tables import Delete, Upsert
from tests.support.anchored_app import BASE, AnchoredApp
from tests.support.charging_app import ChargingApp
from tests.support.product import Answer
from tests.unit.proof.test_proof_vectors import VECTORS

DAYS = ("2026-11-23", "2026-11-24", "2026-11-25")
LAST = "proof|2026-11-25"


@pytest.fixture
def app() -> Iterator[AnchoredApp]:
    with AnchoredApp() as made:
        yield made


def lines(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    return [json.loads(line) for line in gzip.decompress(answer.body).splitlines()]


def anchored_days(app: AnchoredApp) -> set[str]:
    documents = [
        json.loads(line) for blob in app.blobs.blobs.values() for line in blob.splitlines()
    ]
    return {each["root"]["day"] for line in documents for each in line["roots"]}


def use_key(app: ChargingApp, seed: bytes) -> None:
    """This process signs with another key from now on."""
    container = app.container
    container.proof_keys = proof_keys.ProofKeys(
        container.records, Ed25519Signer(seed), container.proof_keys.is_signed, app.clock
    )
    for name in ("close_days", "audit_ledgers", "read_proofs"):
        container.__dict__.pop(name, None)


def keys_of(app: ChargingApp) -> list[dict[str, Any]]:
    return list(app.get("/api/v1/proof-keys").json["keys"])


# Alarms


def sign_again(app: AnchoredApp) -> None:
    day = app.run(TableProofs(app.tables).day("contoso", DAYS[-1]))
    root = replace(day.signed.root, signed_at=day.signed.root.signed_at + timedelta(seconds=1))
    signer = app.container.signer
    assert signer is not None
    again = replace(day, signed=SignedRoot(root, signer.sign(signed_bytes(root))))
    app.write(Upsert(LAST, day_rows(again)[1][0].values))  # type: ignore[union-attr]


def cut_the_tail(app: AnchoredApp) -> None:
    parts = [Delete(key) for key in app.keys_of(LAST)]
    app.write(*parts, Upsert("proof|head", {**app.values_of("proof|head"), "day": DAYS[1]}))


def remove_all_days(app: AnchoredApp) -> None:
    app.write(*(Delete(key) for key in app.keys_of("proof|")))


def replace_a_signature(app: AnchoredApp) -> None:
    app.change(LAST, lambda data: data["signed"].update(signature="A" * 86 + "=="))


def replace_an_old_signature(app: AnchoredApp) -> None:
    app.clock.advance(days=25)
    assert app.audit() == []
    app.change(f"proof|{DAYS[0]}", lambda data: data["signed"].update(signature="A" * 86 + "=="))


def remove_the_key(app: AnchoredApp) -> None:
    (key,) = keys_of(app)
    store, kind = app.container.records, proof_keys.Kind.PROOF_KEY
    record = app.run(store.get(kind, key["id"]))
    app.run(
        store.put(
            kind,
            key["id"],
            {**record.document, "since": "2027-01-01T00:00:00Z"},
            if_match=record.etag,
        )
    )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (sign_again, "roots: another root of 2026-11-25 was anchored"),
        (cut_the_tail, "roots: the root of 2026-11-25 was anchored and is gone"),
        (remove_all_days, "roots: the root of 2026-11-25 was anchored and is gone"),
        (replace_a_signature, f"{LAST}: signature: is not that of key"),
        pytest.param(
            replace_an_old_signature,
            "proof|2026-11-23: signature: is not that of key",
            marks=pytest.mark.extended,
        ),
        (remove_the_key, "did not hold when the root was signed"),
    ],
)
def test_every_night_names_the_problem_until_it_is_ended(
    app: AnchoredApp, change: Callable[[AnchoredApp], None], named: str
) -> None:
    app.close_days()
    change(app)
    for _ in range(2):
        assert any(named in problem for problem in app.next_night())
    assert any(named in problem for problem in app.problems())


@pytest.mark.extended
def test_a_changed_root_of_long_ago_is_found_in_its_turn_and_named_every_night_from_then_on(
    app: AnchoredApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROOF_DAYS_AUDITED_AT_ONCE", 2)
    app.close_days(1)
    app.clock.advance(days=9)
    assert app.audit() == []
    replace_a_signature(app)
    nights = [bool(app.next_night()) for _ in range(9)]
    assert any(nights)
    assert all(nights[nights.index(True) :])


def test_a_ledger_that_was_rolled_back_is_named_every_night_until_its_anchor_is_set_aside(
    app: AnchoredApp,
) -> None:
    app.close_days(1)
    rows = {key: app.values_of(key) for key in app.keys_of("")}
    app.close_days(1)
    app.write(*(Delete(key) for key in app.keys_of("") if key not in rows))
    for key, values in rows.items():
        app.write(Upsert(key, values))
    app.container.__dict__.pop("ledger", None)
    for _ in range(3):
        assert any("was rolled back" in problem for problem in app.next_night())

    anchors = app.container.anchors
    assert anchors is not None
    anchor = app.run(anchors.latest("contoso", app.clock.now().date()))
    app.run(anchors.set_aside(anchor, app.clock.now()))
    assert app.problems() == []
    assert app.next_night() == []
    assert app.next_night() == []
    assert app.problems() == []


@pytest.mark.extended
def test_roots_of_a_second_run_of_a_day_are_anchored_the_next_night(
    app: AnchoredApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROOF_DAYS_CLOSED_PER_RUN_MAX", 6)
    app.leg()
    app.clock.advance(days=15)
    for _ in range(2):
        assert app.audit() == []
    assert app.next_night() == []
    days = {day["root"]["day"] for day in app.get(f"{BASE}/proofs").json["items"]}
    assert len(days) == 16
    assert days == anchored_days(app)


def test_an_anchor_without_roots_of_an_earlier_version_hides_no_roots(app: AnchoredApp) -> None:
    app.close_days()
    app.clock.advance(days=1)
    (newest,) = [blob for name, blob in app.blobs.blobs.items() if name.startswith("2026-11-26")]
    document = json.loads(newest)
    del document["roots"]
    name = next(name for name in app.blobs.blobs if name.startswith("2026-11-26"))
    app.blobs.blobs[name.replace("11-26", "11-27")] = json.dumps(document).encode()
    sign_again(app)
    assert "roots: another root of 2026-11-25 was anchored" in app.problems()


# Damaged rows


@pytest.mark.parametrize(
    "change",
    [
        lambda signed: signed["root"].update(commits="2"),
        lambda signed: signed["root"].update(commits=True),
        lambda signed: signed["root"].update(commits=2.0),
        lambda signed: signed["root"].update(closing="9.7"),
        lambda signed: signed["root"].update(head="x"),
        lambda signed: signed["root"].update(until="2026-11-24T01:00:00+01:00"),
        lambda signed: signed["root"].update(day="2026-W47-1"),
        lambda signed: signed["root"].update(more=1),
        lambda signed: signed["root"].pop("tree"),
        lambda signed: signed.update(root=[]),
        lambda signed: signed.update(more=1),
        lambda signed: signed.update(signature="x"),
        lambda signed: signed.clear(),
    ],
)
def test_a_root_is_read_as_it_was_written_or_not_at_all(change: Callable[[Any], object]) -> None:
    signed = copy.deepcopy(VECTORS["roots"][0])
    assert read_root(signed).document() == signed
    change(signed)
    with pytest.raises((KeyError, TypeError, ValueError)):
        read_root(signed)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["signed"]["root"].update(commits="2"),
        pytest.param(lambda data: data.update(rates=[7]), marks=pytest.mark.extended),
        pytest.param(lambda data: data.clear(), marks=pytest.mark.extended),
    ],
)
def test_an_unreadable_root_is_named_and_other_accounts_are_audited(
    app: AnchoredApp, change: Callable[[Any], object]
) -> None:
    app.settle("acme")
    app.leg("acme")
    app.close_days(2)
    app.change("proof|2026-11-24", change)

    assert any("proof|2026-11-24" in problem for problem in app.next_night())
    assert any(each.startswith("proof|2026-11-24: data:") for each in app.problems())
    assert app.get("/api/v1/accounts/acme/proofs/2026-11-25").status == 200
    for path in ("proofs", "proofs/2026-11-24", "exports/2026-11?interim=true"):
        answer = app.get(f"{BASE}/{path}")
        assert (answer.status, answer.code) == (500, "ledger_corrupt")


@pytest.mark.parametrize("day", [5, "zzz", "2026-12-24"])
def test_a_head_that_names_no_day_is_named(app: AnchoredApp, day: object) -> None:
    leg = app.leg()
    app.close_days(1)
    app.write(Upsert("proof|head", {**app.values_of("proof|head"), "day": day}))
    assert any(each.startswith("proof|head: day:") for each in app.problems())
    assert any("proof|head" in each for each in app.next_night())
    assert app.get(f"{BASE}/legs/{leg}/receipt").code == "ledger_corrupt"


@pytest.mark.parametrize(
    "content", [b"{", b"[1]", b'{"account":"contoso","commit":"2","head":"x","roots":[]}']
)
def test_an_unreadable_anchor_is_named(app: AnchoredApp, content: bytes) -> None:
    app.close_days(1)
    for name in app.blobs.blobs:
        app.blobs.blobs[name] = content
    assert any("The anchors in 2026-11-24/" in each for each in app.problems())
    assert any("The anchors in 2026-11-24/" in each for each in app.next_night())


@pytest.mark.parametrize(
    "key", ["proof|2026-11-20|000", "proof|2026-12-24|000", "proof|2026-11-24|001"]
)
def test_a_part_of_no_day_is_named(app: AnchoredApp, key: str) -> None:
    app.close_days()
    app.write(Upsert(key, app.values_of("proof|2026-11-24|000")))
    assert any(each.startswith(f"{key}: hashes:") for each in app.problems())


def test_a_rate_that_is_not_the_one_of_its_key_is_named(app: AnchoredApp) -> None:
    app.close_days()
    key = f"rate|{'0' * 64}"
    app.write(Upsert(key, app.values_of(app.keys_of("rate|")[0])))
    assert any(each.startswith(f"{key}: data:") for each in app.problems())


def test_an_error_of_one_account_stops_no_other(
    app: AnchoredApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.settle("acme")
    verify = app.container.ledger.verify

    async def failing(account: str, **more: Any) -> Any:
        if account == "contoso":
            raise RuntimeError("an error of the product")
        return await verify(account, **more)

    monkeypatch.setattr(app.container.ledger, "verify", failing)
    assert app.next_night() == ["contoso: RuntimeError"]
    assert app.get("/api/v1/accounts/acme/proofs/2026-11-23").status == 200


def test_no_receipt_is_made_of_a_commit_that_is_not_the_signed_one(app: AnchoredApp) -> None:
    app.close_days()
    app.write(Delete("journal|00000000000000000003"))
    assert app.get(f"{BASE}/legs/pbx~leg-1/receipt").code == "ledger_corrupt"
    app.write(Upsert("journal|00000000000000000003", app.values_of("journal|00000000000000000004")))
    assert app.get(f"{BASE}/legs/pbx~leg-1/receipt").code == "ledger_corrupt"


# Two processes


def test_a_process_that_closes_a_day_second_changes_nothing(app: AnchoredApp) -> None:
    app.close_days()
    rows = {key: app.values_of(key) for key in app.keys_of("proof|")}
    proofs = TableProofs(app.tables)
    day = app.run(proofs.day("contoso", DAYS[0]))
    assert not app.run(proofs.close("contoso", replace(day, leaves=(*day.leaves, bytes(32)))))
    assert {key: app.values_of(key) for key in app.keys_of("proof|")} == rows
    assert app.problems() == []


def test_a_day_of_many_commits_is_proved_by_the_journal(
    app: AnchoredApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "PROOF_HASHES_KEPT_MAX", 2)
    leg = app.leg()
    app.close_days()
    assert app.keys_of("proof|2026-11-23|") == []
    assert app.get(f"{BASE}/legs/{leg}/receipt").status == 200
    assert app.problems() == []
    assert app.next_night() == []


# Keys


def test_a_root_that_the_old_key_signs_during_its_rotation_holds(app: AnchoredApp) -> None:
    """The clock of the old process is ahead of that of the new one."""
    leg = app.leg()
    app.clock.moment = datetime(2026, 11, 24, 0, 10, 5, tzinfo=UTC)
    assert app.audit() == []
    app.clock.advance(seconds=-5)
    use_key(app, b"2" * 32)
    old, new = keys_of(app)
    root = app.get(f"{BASE}/proofs/2026-11-23").json["root"]
    assert old["from"] <= root["signed_at"] < old["until"]
    assert new["until"] is None
    assert app.problems() == []
    assert app.get(f"{BASE}/legs/{leg}/receipt").status == 200


def test_a_key_without_an_end_is_ended_after_its_successors_process_was_killed(
    app: AnchoredApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_of(app)
    app.clock.advance(minutes=1)
    use_key(app, b"3" * 32)

    async def killed(*_: object) -> ProofKey:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(proof_keys.ProofKeys, "_change", killed)
        with pytest.raises(KeyboardInterrupt):
            keys_of(app)
    app.clock.advance(minutes=1)
    old, new = keys_of(app)
    assert (old["until"], new["until"]) == ("2026-11-23T10:12:00Z", None)
    assert keys_of(app) == [old, new]


def test_a_process_with_the_old_key_signs_nothing_more(app: AnchoredApp) -> None:
    first = app.container.proof_keys
    app.run(first.current())
    use_key(app, b"4" * 32)
    app.clock.advance(minutes=-5)  # of the process with the new key
    new = app.run(app.container.proof_keys.current())
    with pytest.raises(Conflict, match="was replaced"):
        app.run(first.current())
    assert new.since > datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


# Receipts and months


def test_a_receipt_has_the_same_digest_whenever_it_is_made(app: AnchoredApp) -> None:
    leg = app.leg()
    app.close_days(1)
    page = app.get(f"{BASE}/legs/{leg}/receipt?format=html").body.decode()
    app.clock.advance(hours=1)
    receipt = app.get(f"{BASE}/legs/{leg}/receipt").json
    assert f"<code>{receipt['digest']}</code>" in page


def test_the_page_of_an_interim_receipt_carries_its_json(app: AnchoredApp) -> None:
    import base64
    import re

    page = app.get(f"{BASE}/legs/{app.leg()}/receipt?interim=true&format=html").body.decode()
    data = re.search(r'href="data:application/json;base64,([^"]+)"', page)
    assert data is not None
    assert f"<code>{json.loads(base64.b64decode(data[1]))['digest']}</code>" in page


def test_an_interim_month_opens_where_the_month_before_ended(app: AnchoredApp) -> None:
    app.leg()
    assert app.next_night() == []
    app.leg()
    app.clock.moment = datetime(2026, 12, 5, 12, tzinfo=UTC)
    app.leg()
    for month in ("2026-11", "2026-12"):
        file = lines(app.get(f"{BASE}/exports/{month}?interim=true"))
        statement = app.get(f"{BASE}/statements/{month}").json
        assert file[-2]["opening"] == statement["opening"]
        assert file[-2]["closing"] == statement["closing"]
        assert file[-2]["legs"] == statement["charges"]["count"]
    assert file[1]["type"] == "checkpoint"
    assert file[1]["root"]["interim"]
    assert file[1]["root"]["day"] == "2026-11-30"


def test_a_month_before_the_first_commit_has_no_file(app: AnchoredApp) -> None:
    for month in ("1990-01", "2026-10", "1970-01"):
        assert app.get(f"{BASE}/exports/{month}?interim=true").code == "proof_unknown"
    app.close_days()
    assert app.get(f"{BASE}/exports/2026-10?interim=true").code == "proof_unknown"


@pytest.mark.parametrize(
    "moment", [datetime(2026, 12, 1, 10, 2, tzinfo=UTC), datetime(2026, 11, 30, 10, 5, tzinfo=UTC)]
)
def test_no_leg_is_in_no_month_after_a_move_to_the_west(app: AnchoredApp, moment: datetime) -> None:
    def zone(name: str) -> None:
        body = {"currency": "USD", "time_zone": name}
        assert app.put(BASE, body, app.get(BASE).etag).status == 200

    zone("Pacific/Kiritimati")
    app.clock.moment = moment
    assert app.audit() == []
    zone("Pacific/Pago_Pago")
    app.leg()
    found = 0
    for month in ("2026-11", "2026-12"):
        answer = app.get(f"{BASE}/exports/{month}?interim=true")
        if answer.status == 200:
            file = lines(answer)
            found += file[-2]["legs"]
            assert {each["root"]["day"][:7] for each in file[2:] if each["type"] == "root"} == {
                month
            }
    assert found == 1
