"""A biller asks which letters of a deposit are to be posted, and for the file that holds them."""

import asyncio
from collections.abc import Callable

from publication.domain import PrintRun, print_run_of
from publication.ports import (
    Demand,
    Manifest,
    NotReadyError,
    OpenPrintRuns,
    PrintFile,
    PrintRunFailedError,
    PrintRunStanding,
    PrintRunState,
    Progress,
    UnknownDepositError,
)

POLL_SECONDS = 0.25

MayActFor = Callable[[str, str], bool]


async def find_print_run(
    demand: Demand, *, may_act_for: MayActFor, open_runs: OpenPrintRuns
) -> PrintRun:
    """Return the letters to post of a deposit, of the régies that the caller may act for.

    Invoices arrive one after the other: fewer than are expected are not all of them.

    Raises:
        UnknownDepositError: none of its invoices came, or all are another's.
        NotReadyError: some are still to come or being made.
    """
    async with open_runs() as runs:
        parts = await runs.parts(demand.deposit_id)
        regies = [regie for authority, regie in parts if may_act_for(authority, regie)]
        if not regies:
            raise UnknownDepositError(str(demand.deposit_id))
        progress = await runs.progress(demand.deposit_id, regies)
        to_come = max(0, demand.expected - sum(parts.values()))
        if progress.waiting + to_come > 0:
            raise NotReadyError(
                Progress(
                    waiting=progress.waiting + to_come,
                    published=progress.published,
                    refused=progress.refused,
                )
            )
        letters = await runs.letters(demand.deposit_id, regies)
    # Thousands of addresses are read: not on the event loop.
    return await asyncio.to_thread(
        print_run_of, demand.deposit_id, letters, is_duplex=demand.is_duplex
    )


async def find_merged_file(
    run: PrintRun, *, patience_seconds: float, open_runs: OpenPrintRuns, wake: Callable[[], None]
) -> PrintRunStanding | None:
    """Return the file of a run once it is made; None when it takes longer than that.

    Raises:
        PrintRunFailedError: it could not be made. This is told once, and then forgotten.
    """
    manifest = Manifest(
        is_duplex=run.is_duplex,
        files=tuple(
            PrintFile(key=letter.print_key, pages=letter.pages, size_bytes=letter.size_bytes)
            for letter in run.letters
        ),
    )
    loop = asyncio.get_running_loop()
    deadline = loop.time() + patience_seconds
    is_asked = False
    while True:
        async with open_runs() as runs:
            standing = await runs.find(run.key)
            if standing is None and not is_asked:
                await runs.ask(run.key, run.deposit_id, manifest)
                is_asked = True
        if standing is None:
            wake()
        elif standing.state is PrintRunState.MADE:
            return standing
        elif standing.state is PrintRunState.FAILED:
            async with open_runs() as runs:
                await runs.forget(run.key, PrintRunState.FAILED)
            raise PrintRunFailedError(standing.failure)
        if loop.time() >= deadline:
            return None
        await asyncio.sleep(POLL_SECONDS)
