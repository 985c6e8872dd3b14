"""Workers claim, perform, survive failures and finish what they began."""

import asyncio
from collections.abc import Sequence

from shared.errors import TransientError
from shared.worker import Worker


class Bench:
    """A list of tasks, and what was done with them."""

    def __init__(self, tasks: list[int], *, failures: int = 0) -> None:
        self.tasks = tasks
        self.done: list[int] = []
        self.most_at_once = 0
        self.stopping = asyncio.Event()
        self.wake = asyncio.Event()
        self._failures = failures
        self._at_once = 0

    async def claim(self, limit: int) -> Sequence[int]:
        if self._failures:
            self._failures -= 1
            raise TransientError
        claimed, self.tasks = self.tasks[:limit], self.tasks[limit:]
        return claimed

    async def perform(self, tasks: Sequence[int]) -> None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await asyncio.sleep(0)
        self.done += tasks
        self._at_once -= 1
        if not self.tasks:
            self.stopping.set()
            self.wake.set()

    def worker(self) -> Worker[int]:
        return Worker(
            "bench",
            claim=self.claim,
            perform=self.perform,
            batch=3,
            concurrency=2,
            wake=self.wake,
        )


async def test_performs_every_task_once_within_its_limits() -> None:
    """Nothing is left, nothing is done twice, and no more than asked runs side by side."""
    bench = Bench(list(range(20)))

    await asyncio.wait_for(bench.worker().run(bench.stopping), 10)

    assert sorted(bench.done) == list(range(20))
    assert bench.most_at_once <= 2


async def test_goes_on_after_a_claim_that_failed() -> None:
    """A database that is away for a moment costs a pause, not the worker."""
    bench = Bench([1, 2], failures=1)

    await asyncio.wait_for(bench.worker().run(bench.stopping), 10)

    assert bench.done == [1, 2]


async def test_work_that_is_added_wakes_the_worker() -> None:
    """A commit in the same process is picked up at once, not at the next look."""
    bench = Bench([])
    running = asyncio.create_task(bench.worker().run(bench.stopping))
    await asyncio.sleep(0)

    bench.tasks.append(7)
    bench.wake.set()
    await asyncio.wait_for(running, 10)

    assert bench.done == [7]
