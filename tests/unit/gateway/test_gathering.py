"""Many small questions become few large ones, and nobody gets another's answer."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from gateway.gathering import Gathering


class Oracle:
    """Answers when it is let; knows the squares of even numbers, and fails at 13."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []
        self.may_answer = asyncio.Event()

    async def ask(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        await self.may_answer.wait()
        if 13 in keys:
            message = "13"
            raise ValueError(message)
        return {key: key * key for key in keys if key % 2 == 0}


async def _started(*questions: "asyncio.Task[int | None]") -> None:
    for _ in range(3 + len(questions)):
        await asyncio.sleep(0)


async def test_those_who_come_meanwhile_are_asked_for_together() -> None:
    """The first goes at once; the same key twice is asked once; what is not known is None."""
    oracle = Oracle()
    gathering = Gathering(oracle.ask, at_most=10)

    tasks = [asyncio.create_task(gathering.get(key)) for key in (2,)]
    await _started(*tasks)
    tasks += [asyncio.create_task(gathering.get(key)) for key in (4, 5, 4)]
    await _started(*tasks)
    oracle.may_answer.set()

    assert [4, 16, None, 16] == await asyncio.gather(*tasks)
    assert [[2], [4, 5]] == oracle.asked


async def test_no_question_is_larger_than_it_may_be() -> None:
    """What does not fit goes with the next one."""
    oracle = Oracle()
    gathering = Gathering(oracle.ask, at_most=2)
    oracle.may_answer.set()

    answers = await asyncio.gather(*(gathering.get(key) for key in (2, 4, 6, 8, 10)))

    assert [4, 16, 36, 64, 100] == answers
    assert [[2, 4], [6, 8], [10]] == oracle.asked


async def test_an_error_reaches_those_who_asked_and_nobody_after_them() -> None:
    """The next question is asked all the same."""
    oracle = Oracle()
    gathering = Gathering(oracle.ask, at_most=10)
    oracle.may_answer.set()

    with pytest.raises(ValueError, match="13"):
        await gathering.get(13)

    assert 4 == await gathering.get(2)


async def test_who_gives_up_takes_the_answer_from_nobody() -> None:
    """A reader who left does not cancel the question of another."""
    oracle = Oracle()
    gathering = Gathering(oracle.ask, at_most=10)
    leaves = asyncio.create_task(gathering.get(2))
    stays = asyncio.create_task(gathering.get(2))
    await _started(leaves, stays)

    leaves.cancel()
    oracle.may_answer.set()

    assert 4 == await stays
    assert [[2]] == oracle.asked
