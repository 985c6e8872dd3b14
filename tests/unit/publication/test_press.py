"""Paper is made in other processes; a document that ends one costs nobody else."""

import json
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from demo.samples import SAMPLES
from publication.adapters import pdf_stamp
from publication.adapters.jobs import Limits
from publication.adapters.press import TRIES, Press, PressSettings
from shared.events.authority_configured import StampPlace
from tests.unit.publication.press_builders import a_claim

PUBLIC_URL = "https://factures.example.fr"
PDF = (SAMPLES / "EN16931_Einfach.pdf").read_bytes()


async def no_places() -> dict[tuple[str, str], StampPlace]:
    return {}


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    settings = PressSettings(
        processes=1,
        memory_bytes=1_073_741_824,
        seconds=20,
        sample=0.0,
        limits=Limits(),
        public_url=PUBLIC_URL,
    )
    press = Press(settings, no_places)
    yield press
    press.close()


def room_of(press: Press) -> int:
    room = press._room._room
    assert room is not None
    return room.pid


def processes_of(press: Press) -> list[int]:
    room = room_of(press)
    return [int(pid) for pid in Path(f"/proc/{room}/task/{room}/children").read_text().split()]


async def test_each_claim_gets_its_own_paper(press: Press) -> None:
    """In order, whatever came before it; a refusal is an answer like another."""
    tokens = ["a" * 22, "b" * 22, "c" * 22]

    papers = await press.make([a_claim(token=token) for token in tokens], [PDF, b"no", None])

    assert [paper.refusal_code for paper in papers if paper] == ["", "not_a_pdf", ""]
    assert papers[0] is not None
    assert papers[2] is not None
    pdf_stamp.verify_rendered(papers[0].document, 1, f"{PUBLIC_URL}/q/{tokens[0]}")
    pdf_stamp.verify_rendered(papers[2].document, 1, f"{PUBLIC_URL}/q/{tokens[2]}")
    assert len(processes_of(press)) == 1


async def test_what_is_set_outside_the_standards_is_told_of_its_invoice(
    press: Press, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line in the form of all the others, from the process that made it."""
    claim = a_claim()
    request = msgspec.structs.replace(claim.request, subject="Fête 🎉")

    [made] = await press.make([msgspec.structs.replace(claim, request=request)], [None])

    assert made is not None
    assert made.refusal_code == ""
    line = json.loads(capfd.readouterr().out)
    assert (line["level"], line["event"]) == ("warning", "set outside the standards")
    assert line["invoice"] == str(request.invoice_id)


async def test_a_document_that_ends_its_process_is_tried_again_and_then_refused(
    press: Press,
) -> None:
    """The next document finds a new process."""
    await press.make([a_claim()], [PDF])
    [first] = processes_of(press)

    os.kill(first, signal.SIGKILL)
    again = await press.make([a_claim()], [PDF])
    made = await press.make([a_claim()], [PDF])
    [second] = processes_of(press)
    os.kill(second, signal.SIGKILL)
    [refused] = await press.make([a_claim(attempts=TRIES)], [PDF])

    assert again == [None]
    assert made[0] is not None
    assert made[0].refusal_code == ""
    assert refused is not None
    assert refused.refusal_code == "resource_limit"
    assert second != first


async def test_a_room_that_ended_is_opened_again(press: Press) -> None:
    """Nobody's document is blamed: what has a process keeps it, what needs one gets it."""
    await press.make([a_claim()], [PDF])
    first = room_of(press)
    [process] = processes_of(press)

    os.kill(first, signal.SIGKILL)
    kept = await press.make([a_claim()], [PDF])
    os.kill(process, signal.SIGKILL)
    await press.make([a_claim()], [PDF])
    [paper] = await press.make([a_claim()], [PDF])

    assert kept[0] is not None
    assert paper is not None
    assert paper.document.startswith(b"%PDF-")
    assert room_of(press) != first


async def test_an_answer_larger_than_a_process_can_hold_is_not_waited_for(press: Press) -> None:
    """What a hostile file made of its process may lie about sizes too."""
    settings = msgspec.structs.replace(press._settings, memory_bytes=10)
    press._settings = settings

    papers = await press.make([a_claim()], [PDF])

    assert papers == [None]
