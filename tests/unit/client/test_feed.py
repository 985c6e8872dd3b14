"""`quittance collections`: nothing is left behind that was not written."""

import csv
import io
import json

import pytest

from quittance_client.state import State
from tests.unit.client.conftest import Console
from tests.unit.client.stand_in import Fault, StandIn, an_item

pytestmark = pytest.mark.enable_socket


class FullDisk(io.StringIO):
    """Takes writing and fails when it should reach the disk."""

    def flush(self) -> None:
        raise OSError(28, "No space left on device")


def asked(doors: StandIn) -> list[str | None]:
    return [seen.query.get("after") for seen in doors.of("GET", "/v1/collections")]


def test_a_run_prints_what_is_new_since_the_last(quittance: Console, doors: StandIn) -> None:
    """Every page up to the end; the next run goes on from there."""
    doors.items = [an_item(position) for position in (1, 2, 3)]

    first = quittance("collections")
    told = quittance.out.splitlines()
    doors.items.append(an_item(4, kind="reversed", amount_cents=-4000))
    second = quittance("collections")

    assert (first, second) == (0, 0)
    assert [line.split()[3] for line in told] == ["numéro", "F-1", "F-2", "F-3"]
    assert told[1] == (
        "2026-11-24T12:00:00+01:00  captured   CANTINE       F-1                          "
        "10,00\xa0€  card"
    )
    assert quittance.out.splitlines()[1].split() == [
        "2026-11-24T12:00:00+01:00",
        "reversed",
        "CANTINE",
        "F-4",
        "-40,00",
        "€",
        "card",
    ]
    assert asked(doors) == ["0", "2", "3", "3", "4"]


def test_items_come_as_csv_and_as_json(quittance: Console, doors: StandIn) -> None:
    """For programs: every field of the contract, cents as cents."""
    doors.items = [an_item(1)]

    quittance("collections", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(quittance.out)))
    quittance("collections", "--from-start", "--json")
    documents = [json.loads(line) for line in quittance.out.splitlines()]

    assert (rows[0]["event_id"], rows[0]["amount_cents"]) == ("e-1", "1000")
    assert documents == [an_item(1)]


def test_a_cursor_of_ones_own_is_used(quittance: Console, doors: StandIn) -> None:
    """--after begins there, whatever was kept."""
    doors.items = [an_item(position) for position in (1, 2, 3)]
    quittance("collections")

    code = quittance("collections", "--after", "2", "--json")

    assert code == 0
    assert [json.loads(line)["number"] for line in quittance.out.splitlines()] == ["F-3"]


def test_the_place_stays_when_the_items_could_not_be_written(
    quittance: Console, doors: StandIn
) -> None:
    """At least once: a full disk costs a repetition, never an item."""
    doors.items = [an_item(position) for position in (1, 2, 3)]

    lost = quittance.run_into(FullDisk(), "collections", "--format", "csv")
    told = quittance.err
    code = quittance("collections", "--json")

    assert (lost, code) == (2, 0)
    assert told == (
        "Les encaissements n’ont pas pu être écrits (No space left on device) ;"
        " ils reviendront la fois suivante.\n"
    )
    assert [json.loads(line)["number"] for line in quittance.out.splitlines()] == [
        "F-1",
        "F-2",
        "F-3",
    ]


def test_nothing_is_acknowledged_that_was_not_written(quittance: Console, doors: StandIn) -> None:
    """The same promise when Quittance keeps the place."""
    doors.items = [an_item(1)]

    code = quittance.run_into(FullDisk(), "collections", "--acknowledge", "--format", "csv")

    assert code == 2
    assert doors.acknowledged == "0"
    assert doors.of("POST", "/v1/collections/acknowledge") == []


def test_the_place_may_be_kept_by_the_door(quittance: Console, doors: StandIn) -> None:
    """Without `after` the door goes on from what was acknowledged, page by page."""
    doors.items = [an_item(position) for position in (1, 2, 3)]

    quittance("collections", "--acknowledge", "--json")
    doors.items.append(an_item(4))
    code = quittance("collections", "--acknowledge", "--json")

    bodies = [json.loads(seen.body) for seen in doors.of("POST", "/v1/collections/acknowledge")]
    assert code == 0
    assert [json.loads(line)["number"] for line in quittance.out.splitlines()] == ["F-4"]
    assert bodies == [{"cursor": "2"}, {"cursor": "3"}, {"cursor": "4"}]
    assert asked(doors) == [None, "2", "3", None, "4"]


def test_following_asks_less_often_while_nothing_comes(quittance: Console, doors: StandIn) -> None:
    """1, 2, 4, 8, then every 15 s; an item brings it back to 1. Ctrl-C ends with 0."""
    doors.items = [an_item(1)]

    def wait(_seconds: float) -> None:
        if len(quittance.waits) == 6:
            doors.items.append(an_item(2))
        if len(quittance.waits) == 8:
            raise KeyboardInterrupt

    quittance.on_wait = wait

    code = quittance("collections", "--follow", "--json")

    assert code == 0
    assert quittance.waits == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 1.0, 2.0]
    assert [json.loads(line)["number"] for line in quittance.out.splitlines()] == ["F-1", "F-2"]


def test_following_survives_an_outage(quittance: Console, doors: StandIn) -> None:
    """Longer than the tries of one request: it is told, and what came meanwhile is printed."""
    doors.fail("GET", "/v1/collections", *[Fault(status=503)] * 20)
    doors.items = [an_item(1)]

    def wait(_seconds: float) -> None:
        if quittance.out or len(quittance.waits) == 30:
            raise KeyboardInterrupt

    quittance.on_wait = wait

    code = quittance("collections", "--follow", "--json")

    assert code == 0
    assert [json.loads(line)["number"] for line in quittance.out.splitlines()] == ["F-1"]
    assert quittance.err.count('"code": "later"') == 2


def test_without_following_an_outage_ends_the_run(quittance: Console, doors: StandIn) -> None:
    """A job that is run again by a timer should say that it failed."""
    doors.fail("GET", "/v1/collections", *[Fault(status=503)] * 8)

    assert quittance("collections") == 2


def test_one_run_reads_a_feed_at_a_time(quittance: Console, doors: StandIn) -> None:
    """Two would move each other's cursor."""
    doors.items = [an_item(1)]
    codes: list[int] = []
    second = Console(folder=quittance.folder, environment=quittance.environment)

    def meanwhile(_seconds: float) -> None:
        codes.append(second("collections"))
        raise KeyboardInterrupt

    quittance.on_wait = meanwhile
    first = quittance("collections", "--follow")

    assert (first, codes) == (0, [2])
    assert second.err == ("Une autre commande « collections » suit déjà ce flux avec ce profil.\n")
    assert len(asked(doors)) == 2


def test_totals_are_shown_to_compare(quittance: Console, doors: StandIn) -> None:
    """Count and sum of each day and régie, with the amounts as people write them."""
    code = quittance("totals", "--from", "2026-11-01", "--to", "2026-11-30")

    (seen,) = doors.of("GET", "/v1/collections/totals")
    assert code == 0
    assert seen.query == {"from": "2026-11-01", "to": "2026-11-30"}
    heading, _, row = (line.split() for line in quittance.out.splitlines() if line.strip())
    assert heading == (
        ["jour", "régie", "paiements", "encaissé", "annulations", "annulé", "net", "clos"]
    )
    assert row == [
        "2026-11-01",
        "CANTINE",
        "3",
        "61,50",
        "€",
        "1",
        "10,00",
        "€",
        "51,50",
        "€",
        "oui",
    ]


def test_a_day_that_does_not_exist_is_refused_here(quittance: Console, doors: StandIn) -> None:
    """Before anything is asked."""
    code = quittance("totals", "--from", "2026-11-31", "--to", "2026-12-01")

    assert code == 2
    assert quittance.err == "« 2026-11-31 » n’est pas un jour de la forme AAAA-MM-JJ.\n"
    assert doors.seen == []


def test_the_kept_cursor_belongs_to_one_client(quittance: Console, doors: StandIn) -> None:
    """Another profile's feed is another feed."""
    doors.items = [an_item(1)]
    quittance("collections")
    kept = [path.name for path in (quittance.folder / "state").glob("cursor-*.json")]

    state = State(quittance.folder / "state")

    assert len(kept) == 1
    assert state.cursor(kept[0].removeprefix("cursor-").removesuffix(".json")) == "1"
    assert state.cursor("another") is None
