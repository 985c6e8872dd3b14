"""Fault switches: set, used up and reset."""

import pytest

from simulators.faults import FaultBoard, FaultError, SwitchKind


@pytest.fixture
def board() -> FaultBoard:
    """Return a board of two switches."""
    return FaultBoard({"lost_notice": SwitchKind.COUNT, "slow_seconds": SwitchKind.SECONDS})


def test_every_switch_is_off_at_first(board: FaultBoard) -> None:
    """A simulator behaves until told otherwise."""
    assert board.as_json() == {"lost_notice": False, "slow_seconds": 0.0}
    assert not board.take("lost_notice")


def test_a_count_is_used_up(board: FaultBoard) -> None:
    """Two times means two times, then the switch is off."""
    board.change({"lost_notice": 2})

    taken = [board.take("lost_notice") for _ in range(4)]

    assert taken == [True, True, False, False]
    assert board.as_json()["lost_notice"] is False


def test_true_stays_until_reset(board: FaultBoard) -> None:
    """A lasting fault ends only when told."""
    board.change({"lost_notice": True, "slow_seconds": 1.5})
    before = [board.take("lost_notice") for _ in range(3)]

    board.reset()

    assert before == [True, True, True]
    assert board.as_json() == {"lost_notice": False, "slow_seconds": 0.0}


@pytest.mark.parametrize(
    ("wanted", "slug", "name"),
    [
        ({"on_fire": True}, "unknown-fault", "on_fire"),
        ({"lost_notice": -1}, "invalid-fault", "lost_notice"),
        ({"lost_notice": 1.5}, "invalid-fault", "lost_notice"),
        ({"lost_notice": "yes"}, "invalid-fault", "lost_notice"),
        ({"slow_seconds": True}, "invalid-fault", "slow_seconds"),
        ({"slow_seconds": -1}, "invalid-fault", "slow_seconds"),
        ({"slow_seconds": float("nan")}, "invalid-fault", "slow_seconds"),
        ({"slow_seconds": 10**400}, "invalid-fault", "slow_seconds"),
        ({"slow_seconds": None}, "invalid-fault", "slow_seconds"),
    ],
)
def test_a_wrong_request_changes_nothing(
    wanted: dict[str, object], slug: str, name: str, board: FaultBoard
) -> None:
    """The good switch beside the bad one is not set either."""
    with pytest.raises(FaultError) as refusal:
        board.change({"lost_notice": 1} | wanted)

    assert (refusal.value.slug, refusal.value.name) == (slug, name)
    assert board.as_json() == {"lost_notice": False, "slow_seconds": 0.0}
