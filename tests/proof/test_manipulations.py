"""Manipulations of exports, receipts, roots, keys and stored rows: each is found, and named."""

import base64
import copy
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.adapters.proof.proof_days import TableProofs, day_rows
from shared.domain.proof.roots import SignedRoot, signed_bytes
from shared.ports.tables import Delete, Upsert
from tests.proof.test_verifiers import VECTORS, sealed_month, sealed_receipt
from tests.support.anchored_app import AnchoredApp
from tests.unit.proof.proof_vectors import SEED

type Json = Any


@pytest.fixture(scope="module")
def tools() -> Iterator[Any]:
    """The modules of the two verifiers."""
    folder = str(Path(__file__).parents[2] / "tools")
    sys.path.insert(0, folder)
    import proof_signatures
    import verify_month
    import verify_receipt

    yield verify_receipt, verify_month, proof_signatures
    sys.path.remove(folder)


def kind_of(tools: Any, verify: Callable[[], object]) -> str:
    """What a verifier says is wrong; "" if nothing is."""
    try:
        verify()
    except tools[0].Wrong as wrong:
        kind, place, what = wrong.args
        assert place
        assert what
        return str(kind)
    except tools[0].UNREADABLE:
        return "format"
    return ""


# A month


def commits(lines: list[Json]) -> list[Json]:
    return [each for each in lines if each["type"] == "commit"]


def roots(lines: list[Json]) -> list[Json]:
    return [each for each in lines if each["type"] == "root"]


def full(lines: list[Json]) -> Json:
    """The commit with the most entries."""
    return max(commits(lines), key=lambda each: len(each["entries"]))


def charged(lines: list[Json]) -> list[Json]:
    """The debits that cost something, with their persons."""
    found = [item for each in commits(lines) for item in each["entries"]]
    return [item for item in found if "charge" in item and item["entry"]["amount"] != "0.00"]


def edit_an_amount(lines: list[Json]) -> None:
    charged(lines)[0]["entry"]["amount"] = "-0.01"


def delete_an_entry(lines: list[Json]) -> None:
    del full(lines)["entries"][1]


def insert_an_entry(lines: list[Json]) -> None:
    full(lines)["entries"].append(copy.deepcopy(full(lines)["entries"][-1]))


def reorder_entries(lines: list[Json]) -> None:
    full(lines)["entries"].reverse()


def swap_persons(lines: list[Json]) -> None:
    first, second = full(lines)["entries"][:2]
    first["person"], second["person"] = second["person"], first["person"]


def change_a_charge(lines: list[Json]) -> None:
    charged(lines)[0]["charge"]["talk_seconds"] = 1


def leave_a_charge_out(lines: list[Json]) -> None:
    del charged(lines)[0]["charge"]


def change_a_rate(lines: list[Json]) -> None:
    rate = charged(lines)[0]["charge"]["rate"]
    for line in lines:
        if line["type"] == "rate" and line["rate"]["prefix"] == rate["prefix"]:
            line["rate"]["slots"][0]["price"] = "0.0001"
            for band in line["rate"]["bands"]:
                band["slots"][0]["price"] = "0.0001"


def rename_a_rate(lines: list[Json]) -> None:
    next(each for each in lines if each["type"] == "rate")["rate"]["prefix"] = "1"


def leave_a_rate_out(lines: list[Json]) -> None:
    lines.remove(next(each for each in lines if each["type"] == "rate"))


def delete_a_commit(lines: list[Json]) -> None:
    lines.remove(commits(lines)[1])


def reorder_commits(lines: list[Json]) -> None:
    first, second = (lines.index(each) for each in commits(lines)[:2])
    lines[first], lines[second] = lines[second], lines[first]


def leave_a_day_out(lines: list[Json]) -> None:
    days = [each for each in roots(lines) if not each["root"]["commits"]]
    lines.remove(days[0])


def cut_the_last_days(lines: list[Json]) -> None:
    for each in roots(lines)[-2:]:
        lines.remove(each)


def change_a_root(lines: list[Json]) -> None:
    roots(lines)[0]["root"]["closing"] = "1000.00"


def take_another_signature(lines: list[Json]) -> None:
    roots(lines)[0]["signature"] = roots(lines)[1]["signature"]


def sign_with_another_key(lines: list[Json]) -> None:
    sign(roots(lines)[0], bytes(32))


def change_the_statement(lines: list[Json]) -> None:
    lines[-2]["charged"] = "0.01"


def another_account(lines: list[Json]) -> None:
    lines[0]["account"] = "fabrikam"


def shift_money(lines: list[Json]) -> None:
    """From one leg to another one, all digests and hashes made again, but for the signature."""
    first, second = charged(lines)[:2]
    first["entry"]["amount"], second["entry"]["amount"] = (
        second["entry"]["amount"],
        first["entry"]["amount"],
    )


MONTH: tuple[tuple[Callable[[list[Json]], None], set[str]], ...] = (
    (edit_an_amount, {"balance", "commit"}),
    (delete_an_entry, {"commit"}),
    (insert_an_entry, {"commit"}),
    (reorder_entries, {"commit"}),
    (swap_persons, {"person"}),
    (shift_money, {"balance", "commit"}),
    (change_a_charge, {"charge"}),
    (leave_a_charge_out, {"format"}),
    (change_a_rate, {"rating"}),
    (rename_a_rate, {"rate"}),
    (leave_a_rate_out, {"rate"}),
    (delete_a_commit, {"chain"}),
    (reorder_commits, {"chain"}),
    (leave_a_day_out, {"chain"}),
    (cut_the_last_days, {"chain"}),
    (change_a_root, {"signature"}),
    (take_another_signature, {"signature"}),
    (sign_with_another_key, {"signature"}),
    (change_the_statement, {"statement"}),
    (another_account, {"account"}),
)


@pytest.mark.parametrize(("change", "kinds"), MONTH, ids=[each.__name__ for each, _ in MONTH])
def test_a_manipulated_month_is_named(
    tools: Any, change: Callable[[list[Json]], None], kinds: set[str]
) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    change(lines)
    assert kind_of(tools, lambda: tools[1].verify(sealed_month(lines), VECTORS["keys"])) in kinds


def test_a_cut_file_and_other_lines_are_named(tools: Any) -> None:
    lines = [line.encode() for line in VECTORS["months"][0]["lines"]]
    assert kind_of(tools, lambda: tools[1].verify(lines[:-1], VECTORS["keys"])) == "end"
    about = {**json.loads(lines[0]), "created_at": "2026-01-01T00:00:00Z"}
    other = [tools[2].canonical(about) + b"\n", *lines[1:]]
    assert kind_of(tools, lambda: tools[1].verify(other, VECTORS["keys"])) == "digest"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"until": "2026-11-02T00:00:00Z"}, "key"),
        ({"from": "2027-01-01T00:00:00Z"}, "key"),
        ({"id": "ed25519-0000000000000000"}, "key"),
        ({"public_key": base64.b64encode(bytes(32)).decode()}, "key"),
        ({"compromised_at": "2026-11-02T00:00:00Z"}, "compromised"),
    ],
)
def test_an_old_or_forged_or_compromised_key_is_named(
    tools: Any, change: Mapping[str, str], kind: str
) -> None:
    keys = {"keys": [{**VECTORS["keys"]["keys"][0], **change}]}
    for receipt in VECTORS["receipts"][:2]:
        assert kind_of(tools, lambda receipt=receipt: tools[0].verify(receipt, keys)) == kind


# The operator signs what is wrong


def sign(line: Json, seed: bytes = SEED) -> None:
    from tests.proof.test_verifiers import canonical

    signature = Ed25519PrivateKey.from_private_bytes(seed).sign(canonical(line["root"]))
    line["signature"] = base64.b64encode(signature).decode()


def forged(tools: Any, lines: list[Json]) -> list[Json]:
    """The month with every digest, hash, tree and signature made again with the operator's key."""
    digest, tree = tools[2].digest, tools[2].tree
    from tests.proof.test_verifiers import canonical

    before, previous, hashes = "0" * 64, "0" * 64, []
    for line in lines:
        if line["type"] == "commit":
            for item in line["entries"]:
                if "charge" in item:
                    item["entry"]["charge_digest"] = digest(item["charge"])
            entries = [canonical(item["entry"]) for item in line["entries"]]
            line["commit"] |= {"root": tree(entries), "previous": before}
            line["commit"]["balance"] = (
                line["entries"][-1]["entry"]["balance"] if entries else line["commit"]["balance"]
            )
            before = digest(line["commit"])
            hashes.append(bytes.fromhex(before))
        elif line["type"] == "root":
            root = line["root"]
            root |= {"tree": tree(hashes), "head": before, "previous": previous}
            previous, hashes = digest(root), []
            sign(line)
    return lines


def test_what_the_operator_signs_is_rated_again(tools: Any) -> None:
    """A leg that costs more than its rate says, with sound digests and signatures."""
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    same = forged(tools, copy.deepcopy(lines))
    assert kind_of(tools, lambda: tools[1].verify(sealed_month(same), VECTORS["keys"])) == ""
    item = charged(lines)[0]
    item["charge"]["amount"], item["entry"]["amount"] = "1.35", "-1.35"
    item["entry"]["draws"][0]["amount"] = "1.35"
    item["entry"]["balance"] = "3.65"
    wrong = forged(tools, lines)
    assert kind_of(tools, lambda: tools[1].verify(sealed_month(wrong), VECTORS["keys"])) == "rating"


def test_money_that_the_operator_skims_is_named(tools: Any) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    entry = charged(lines)[0]["entry"]
    entry["balance"] = "3.65"
    wrong = forged(tools, lines)
    found = kind_of(tools, lambda: tools[1].verify(sealed_month(wrong), VECTORS["keys"]))
    assert found == "balance"


# Receipts


def test_manipulated_receipts_are_named(tools: Any) -> None:
    reversed_leg, rerated, *_ = VECTORS["receipts"]

    def kind(receipt: Json, *, sealed: bool = True) -> str:
        made = sealed_receipt(receipt) if sealed else receipt
        return kind_of(tools, lambda: tools[0].verify(made, VECTORS["keys"]))

    def changed(receipt: Json, change: Callable[[Json], object]) -> Json:
        made = copy.deepcopy(receipt)
        change(made)
        return made

    def other_rate(receipt: Json) -> None:
        receipt["items"][0]["rate"] |= {"version": "2026-05-01T00:00:00Z"}

    def other_path(receipt: Json) -> None:
        receipt["items"][0]["entry_path"] = rerated["items"][0]["entry_path"]

    table = (
        (changed(reversed_leg, lambda r: r.update(account="fabrikam")), {"account"}),
        (changed(reversed_leg, other_path), {"commit"}),
        (changed(reversed_leg, lambda r: r["items"][0]["commit_path"].update(index=0)), {"tree"}),
        (changed(reversed_leg, lambda r: r["corrections"].clear()), {"correction"}),
        (changed(reversed_leg, other_rate), {"rate"}),
        (changed(reversed_leg, lambda r: r["items"][0].pop("rate")), {"rate"}),
        (changed(reversed_leg, lambda r: r["items"][0]["person"].update(to="+441")), {"person"}),
        (changed(reversed_leg, lambda r: r["items"][0].pop("charge")), {"format"}),
        (changed(rerated, lambda r: r["roots"][0]["root"].update(day="2026-11-22")), {"signature"}),
    )
    assert [kind(receipt) in kinds for receipt, kinds in table] == [True] * len(table)
    late = {**reversed_leg, "created_at": "2026-01-01T00:00:00Z"}
    assert kind(late, sealed=False) == "digest"


def test_two_roots_of_a_day_are_named(tools: Any) -> None:
    """The operator shows different books to different customers."""
    receipt = copy.deepcopy(VECTORS["receipts"][3])
    line = receipt["roots"][0]
    line["root"]["signed_at"] = "2026-11-24T02:00:00Z"
    sign(line)
    found = [root for each in (VECTORS["receipts"][3], receipt) for root in each["roots"]]
    kept = [each["root"] for each in found]
    tools[0].verify(sealed_receipt(receipt), VECTORS["keys"])
    assert kind_of(tools, lambda: tools[0].compare(kept)) == "roots"


def test_two_books_are_named_by_their_commits(tools: Any) -> None:
    """Interim roots of two different books that have as many commits."""
    receipt = copy.deepcopy(VECTORS["receipts"][4])
    line = receipt["roots"][-1]
    assert line["root"]["interim"]
    kept = copy.deepcopy(line["root"])
    line["root"]["head"] = "0" * 64
    sign(line)
    assert kind_of(tools, lambda: tools[0].compare([kept, line["root"]])) == "roots"
    early, late = (copy.deepcopy(each["root"]) for each in VECTORS["roots"][:3:2])
    late["after"] = 0
    assert kind_of(tools, lambda: tools[0].compare([early, late])) == "roots"


def test_a_correction_without_an_item_is_a_notice(
    tools: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    receipt = copy.deepcopy(VECTORS["receipts"][3])
    receipt["corrections"] = [
        {"entry": 77, "corrects": 1, "kind": "reversal", "at": "2026-11-25T00:00:00Z"}
    ]
    tools[0].verify(sealed_receipt(receipt), VECTORS["keys"])
    assert "notice: entry 77: no item proves this correction of entry 1" in capsys.readouterr().out


def cut_an_interim_month(lines: list[Json]) -> None:
    """Closed days at the end of a month are left out, and the month is stated to be open."""
    cut_the_last_days(lines)
    lines[0]["interim"] = True


def state_that_a_whole_month_is_open(lines: list[Json]) -> None:
    lines[0]["interim"] = True


def add_to_the_statement(lines: list[Json]) -> None:
    lines[-2]["refunded"] = "100.00"


def add_to_an_entry_item(lines: list[Json]) -> None:
    charged(lines)[0]["note"] = "paid"


def write_a_count_as_a_fraction(lines: list[Json]) -> None:
    lines[-2]["legs"] = float(lines[-2]["legs"])


def write_a_count_as_true(lines: list[Json]) -> None:
    lines[-2]["first_entry"] = True


def write_a_time_as_garbage(lines: list[Json]) -> None:
    lines[0]["created_at"] = "\x1b[31m9999"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (cut_an_interim_month, "chain"),
        (state_that_a_whole_month_is_open, "chain"),
        (add_to_the_statement, "format"),
        (add_to_an_entry_item, "format"),
        (write_a_count_as_a_fraction, "format"),
        (write_a_count_as_true, "format"),
        (write_a_time_as_garbage, "format"),
    ],
)
def test_what_no_hash_covers_is_named(
    tools: Any, change: Callable[[list[Json]], None], kind: str
) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    change(lines)
    assert kind_of(tools, lambda: tools[1].verify(sealed_month(lines), VECTORS["keys"])) == kind


@pytest.mark.parametrize(
    "change",
    [
        lambda r: r.update(more=1),
        lambda r: r.update(leg=5),
        lambda r: r.update(created_at="x"),
        lambda r: r["items"][0].update(note="paid"),
        lambda r: r["items"][0]["commit_path"].update(index=True),
        lambda r: r["items"][0]["entry_path"].update(size=1.0),
        lambda r: r["items"][0].update(root=-1),
        lambda r: r["items"][0].update(root=9),
        lambda r: r["corrections"][0].update(kind="grant"),
        lambda r: r["corrections"][0].update(at="x"),
        lambda r: r["roots"].append({"root": "x"}),
        lambda r: r["roots"].append(VECTORS["roots"][-1]),
        lambda r: r["roots"][0].update(note="paid"),
    ],
)
def test_members_that_no_hash_covers_are_refused(
    tools: Any, change: Callable[[Json], object]
) -> None:
    receipt = copy.deepcopy(VECTORS["receipts"][0])
    change(receipt)
    found = kind_of(tools, lambda: tools[0].verify(sealed_receipt(receipt), VECTORS["keys"]))
    assert found == "format"


def test_a_leg_that_the_operator_charges_twice_is_named(tools: Any) -> None:
    """In one month file, and in two receipts: the operator signs everything again."""
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    first, second = charged(lines)[:2]
    second["entry"]["leg"] = first["entry"]["leg"]
    wrong = sealed_month(forged(tools, lines))
    assert kind_of(tools, lambda: tools[1].verify(wrong, VECTORS["keys"])) == "charge"


def test_a_reversal_of_another_leg_is_named(tools: Any) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    items = [item for each in commits(lines) for item in each["entries"]]
    reversal = next(each for each in items if each["entry"]["kind"] == "reversal")
    reversal["entry"]["leg"] = "pbx~another"
    wrong = sealed_month(forged(tools, lines))
    assert kind_of(tools, lambda: tools[1].verify(wrong, VECTORS["keys"])) == "correction"


def signed_before_its_end(lines: list[Json]) -> None:
    root = roots(lines)[0]["root"]
    root["signed_at"] = root["until"].replace("T23", "T22")


def take_an_earlier_checkpoint(lines: list[Json]) -> None:
    """The days between the checkpoint and the month are left out."""
    checkpoint = next(each for each in lines if each["type"] == "checkpoint")
    checkpoint["root"]["day"] = "2026-11-15"
    sign(checkpoint)


def debit_without_a_leg(lines: list[Json]) -> None:
    del charged(lines)[0]["entry"]["leg"]


def debit_called_adjustment(lines: list[Json]) -> None:
    item = charged(lines)[0]
    item["entry"]["kind"] = "adjustment"
    del item["charge"]
    item.pop("person", None)


def reversal_called_adjustment(lines: list[Json]) -> None:
    items = [item for each in commits(lines) for item in each["entries"]]
    entry = next(each["entry"] for each in items if each["entry"]["kind"] == "reversal")
    entry["kind"] = "adjustment"
    entry.pop("leg")


def negative_price(lines: list[Json]) -> None:
    next(each for each in lines if each["type"] == "rate")["rate"]["connection_fee"] = "-0.05"


def second_text_of_a_time(lines: list[Json]) -> None:
    root = roots(lines)[0]["root"]
    root["until"] = root["until"].replace("Z", ".000000Z")


def re_rating_without_a_reversal(lines: list[Json]) -> None:
    first, second = charged(lines)[:2]
    second["entry"] |= {"leg": first["entry"]["leg"], "rerates": first["entry"]["sequence"]}


def commit_in_the_day_before(lines: list[Json]) -> None:
    """A commit is signed under a day that had ended."""
    later = next(
        each for each in commits(lines) if lines.index(each) > lines.index(roots(lines)[0])
    )
    first = lines.index(roots(lines)[0])
    lines.remove(later)
    lines.insert(first, later)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        (signed_before_its_end, {"chain"}),
        (debit_without_a_leg, {"charge"}),
        (debit_called_adjustment, {"charge"}),
        (reversal_called_adjustment, {"correction"}),
        (negative_price, {"format"}),
        (second_text_of_a_time, {"format"}),
        (re_rating_without_a_reversal, {"correction"}),
        (commit_in_the_day_before, {"chain"}),
    ],
)
def test_frauds_that_the_operator_signs_are_named(
    tools: Any, change: Callable[[list[Json]], None], kinds: set[str]
) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][0]["lines"]]
    change(lines)
    wrong = sealed_month(forged(tools, lines))
    assert kind_of(tools, lambda: tools[1].verify(wrong, VECTORS["keys"])) in kinds


def test_a_month_that_continues_an_earlier_day_is_named(tools: Any) -> None:
    lines = [json.loads(line) for line in VECTORS["months"][1]["lines"]]
    take_an_earlier_checkpoint(lines)
    found = kind_of(tools, lambda: tools[1].verify(sealed_month(lines), VECTORS["keys"]))
    assert found == "chain"


def test_keys_and_signatures_have_one_text(tools: Any) -> None:
    from proof_format import load_keys

    (key,) = VECTORS["keys"]["keys"]
    twice = json.dumps({"keys": [key, {**key, "until": "2026-11-02T00:00:00Z"}]})
    assert kind_of(tools, lambda: load_keys(twice)) == "format"
    receipt = copy.deepcopy(VECTORS["receipts"][3])
    signature = receipt["roots"][0]["signature"]
    assert signature.endswith("==")
    receipt["roots"][0]["signature"] = f"{signature[:-3]}{chr(ord(signature[-3]) + 1)}=="
    assert base64.b64decode(receipt["roots"][0]["signature"]) == base64.b64decode(signature)
    found = kind_of(tools, lambda: tools[0].verify(sealed_receipt(receipt), VECTORS["keys"]))
    assert found == "format"


# Stored rows


@pytest.fixture
def app() -> Iterator[AnchoredApp]:
    """Three closed days of an account, anchored."""
    with AnchoredApp() as made:
        made.close_days()
        yield made


def test_sound_rows_have_no_problems(app: AnchoredApp) -> None:
    assert app.problems() == []
    assert app.audit() == []


def test_a_changed_public_hash_is_named(app: AnchoredApp) -> None:
    key = app.keys_of("journal|")[0]
    app.write(Upsert(key, {**app.values_of(key), "public": "0" * 64}))
    assert any(each.startswith(f"{key}: public:") for each in app.problems())


def test_changed_hashes_of_a_day_are_named(app: AnchoredApp) -> None:
    key = "proof|2026-11-24|000"
    values = app.values_of(key)
    app.write(Upsert(key, {**values, "hashes0": values["hashes0"][:-1] + b"?"}))
    assert any(each.startswith("proof|2026-11-24: tree:") for each in app.problems())


def test_a_changed_rate_is_named(app: AnchoredApp) -> None:
    key = app.keys_of("rate|")[0]
    values = app.values_of(key)
    changed = {**json.loads(values["data"]), "minimum_charge": "1"}
    app.write(Upsert(key, {**values, "data": json.dumps(changed)}))
    assert any(each.startswith(f"{key}: data:") for each in app.problems())


def test_a_deleted_day_and_a_cut_tail_are_named(app: AnchoredApp) -> None:
    app.write(Delete("proof|2026-11-24"))
    assert any(each.startswith("proof|2026-11-25: previous:") for each in app.problems())
    app.write(Delete("proof|2026-11-25"))
    found = app.problems()
    assert "proof|head: day: there is no such day" in found
    assert "roots: the root of 2026-11-25 was anchored and is gone" in found


def test_a_root_that_is_signed_again_is_found_by_its_anchor(app: AnchoredApp) -> None:
    """With the operator's own key: only the anchor, or a receipt that was kept, tells."""
    day = app.run(TableProofs(app.tables).day("contoso", "2026-11-25"))
    assert day is not None
    app.clock.advance(seconds=1)
    root = replace(day.signed.root, signed_at=app.clock.now())
    signer = app.container.signer
    assert signer is not None
    again = replace(day, signed=SignedRoot(root, signer.sign(signed_bytes(root))))
    parts, (insert, _) = day_rows(again)
    app.write(*parts, Upsert("proof|2026-11-25", insert.values))  # type: ignore[union-attr]
    assert app.problems() == ["roots: another root of 2026-11-25 was anchored"]
    for _ in range(3):  # the alarm stays until an operator ends it
        assert app.next_night() == ["contoso: roots: another root of 2026-11-25 was anchored"]


def test_a_root_with_another_signature_is_named(app: AnchoredApp) -> None:
    key = "proof|2026-11-25"
    values = app.values_of(key)
    data = json.loads(values["data"])
    data["signed"]["signature"] = base64.b64encode(bytes(64)).decode()
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    app.write(Upsert(key, {**values, "data": text}))
    assert any(each.startswith(f"{key}: signature:") for each in app.problems())
