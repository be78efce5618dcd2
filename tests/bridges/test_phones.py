"""The clocks of the phones, read from sipp's log of short messages."""

from pathlib import Path

from tests.bridges.phones import Clock, clocks, messages_in

INVITE = "INVITE sip:+442079460101@127.0.0.1:5060 SIP/2.0"
CALL = (
    (0.0, "R", 1, INVITE),
    (0.1, "S", 1, "SIP/2.0 180 Ringing"),
    (1.0, "S", 1, "SIP/2.0 200 OK"),
    (1.5, "S", 1, "SIP/2.0 200 OK"),  # no one has confirmed it
    (3.3, "R", 1, "ACK sip:phone@127.0.0.1:5060 SIP/2.0"),
    (3.4, "R", 2, "BYE sip:phone@127.0.0.1:5060 SIP/2.0"),
    (3.4, "S", 2, "SIP/2.0 200 OK"),
)


def _log(folder: Path, messages: tuple[tuple[float, str, int, str], ...], rest: str = "") -> Path:
    file = folder / "phones.csv"
    method = {1: "INVITE", 2: "BYE"}
    lines = [
        f"-\t-\t{at}\t{way}\tcall\tCSeq:{number} {method[number]}\t{text}\n"
        for at, way, number, text in messages
    ]
    file.write_text("".join(lines) + rest)
    return file


def test_an_answer_that_the_bridge_confirms_late_may_be_billed_from_then(tmp_path: Path) -> None:
    (clock,) = clocks(messages_in(_log(tmp_path, CALL))).values()
    assert round(clock.seconds, 3) == 2.4
    assert clock.billable_seconds(0.01) == (0, 3)


def test_an_answer_that_the_bridge_confirms_at_once_is_billed(tmp_path: Path) -> None:
    prompt = (*CALL[:3], (1.001, "R", 1, CALL[4][3]), *CALL[5:])
    (clock,) = clocks(messages_in(_log(tmp_path, prompt))).values()
    assert clock.billable_seconds(0.01) == (2, 3)


def test_a_call_that_no_one_answers_is_not_billed(tmp_path: Path) -> None:
    assert clocks(messages_in(_log(tmp_path, CALL[:2]))) == {"+442079460101": Clock(None, None)}


def test_a_line_that_is_still_written_is_not_read(tmp_path: Path) -> None:
    (clock,) = clocks(
        messages_in(_log(tmp_path, CALL[:5], "-\t-\t3.4\tR\tcall\tCSeq:2 B"))
    ).values()
    assert not clock.is_over
