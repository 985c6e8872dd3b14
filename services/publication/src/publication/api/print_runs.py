"""The doors of the post: what is to be printed of a deposit, and its index for mailing software."""

import csv
from collections.abc import Awaitable, Callable
from io import StringIO
from uuid import UUID

import msgspec
from aiohttp import web

from publication.domain import IndexedLetter, PrintRun
from publication.ports import (
    Demand,
    NotReadyError,
    PrintRunFailedError,
    PrintRunStanding,
    UnknownDepositError,
)
from shared.auth import Principal
from shared.http import Operation, ProblemError, json_response, principal
from shared.storage import MissingObjectError, Storage

RETRY_AFTER_SECONDS = 5
ADDRESS_COLUMNS = 6
"""NF Z10-011 allows no more lines; what is beyond stands in the last of them."""
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
"""What makes a cell a program to a spreadsheet (OWASP, CSV injection)."""
UTF8_MARK = "\ufeff"
"""Without it a French spreadsheet reads the file as Windows-1252."""
PDF, CSV = "application/pdf", "text/csv"
QUERY = {
    "duplex": "`true`: printed on both sides; each letter begins on an odd page.",
    "expected": "Number of invoices of the deposit: with fewer of them the run is not ready.",
}

Find = Callable[[Demand, Principal], Awaitable[PrintRun]]
Merge = Callable[[PrintRun], Awaitable[PrintRunStanding | None]]
Forget = Callable[[PrintRun], Awaitable[None]]


class PrintRunIndex(msgspec.Struct, frozen=True, kw_only=True):
    """The letters of a deposit in the order of the merged file."""

    deposit_id: UUID
    duplex: bool
    letter_count: int
    pages: int
    sheets: int
    letters: tuple[IndexedLetter, ...]


class PrintRunDoors:
    """The doors of a print run; `find` and `merge` are the handlers behind them."""

    def __init__(self, *, find: Find, merge: Merge, forget: Forget, storage: Storage) -> None:
        """Answer from `find` and `merge`, and read merged files from `storage`."""
        self._find_run = find
        self._merge = merge
        self._forget = forget
        self._storage = storage

    async def get_print_run(self, request: web.Request) -> web.StreamResponse:
        """Send the merged file, or say that it is being made."""
        run = await self._find(request)
        if not run.letters:
            raise ProblemError(
                404,
                "nothing-to-print",
                "Aucune facture de ce dépôt n’est à imprimer : chaque redevable a une adresse"
                " électronique, ou rien n’a été publié.",
            )
        try:
            standing = await self._merge(run)
        except PrintRunFailedError as error:
            raise ProblemError(
                503,
                error.slug,
                "Le fichier d’impression n’a pas pu être assemblé. Demandez-le à nouveau ; les"
                " factures restent disponibles une par une.",
                headers=_later(),
                extensions={"reason": str(error)},
            ) from error
        if standing is None:
            raise ProblemError(
                202,
                "being-made",
                "Le fichier d’impression est en cours d’assemblage. Demandez-le à nouveau dans"
                " quelques secondes.",
                headers=_later(),
            )
        return await self._send(request, run, standing)

    async def get_index(self, request: web.Request) -> web.Response:
        """Send the index as JSON."""
        run = await self._find(request)
        return json_response(
            PrintRunIndex(
                deposit_id=run.deposit_id,
                duplex=run.is_duplex,
                letter_count=len(run.index),
                pages=run.pages,
                sheets=run.sheets,
                letters=run.index,
            ),
            headers={"Cache-Control": "private, no-store"},
        )

    async def get_table(self, request: web.Request) -> web.Response:
        """Send the index as CSV."""
        run = await self._find(request)
        return web.Response(
            body=table(run).encode(),
            content_type=CSV,
            charset="utf-8",
            headers=_attachment(run, "csv"),
        )

    async def _find(self, request: web.Request) -> PrintRun:
        try:
            deposit_id = UUID(request.match_info["deposit_id"])
        except ValueError as error:
            raise _unknown() from error
        expected = request.query.get("expected", "0")
        if not (expected.isascii() and expected.isdigit() and len(expected) <= 9):
            raise ProblemError(400, "invalid-parameter", "« expected » est un nombre de factures.")
        duplex = request.query.get("duplex", "false")
        if duplex not in ("true", "false"):
            raise ProblemError(400, "invalid-parameter", "« duplex » vaut true ou false.")
        try:
            demand = Demand(
                deposit_id=deposit_id, expected=int(expected), is_duplex=duplex == "true"
            )
            return await self._find_run(demand, principal(request))
        except UnknownDepositError as error:
            # Another town's deposit is answered as one that does not exist.
            raise _unknown() from error
        except NotReadyError as error:
            raise ProblemError(
                409,
                error.slug,
                "Des factures de ce dépôt sont encore en cours de publication. Réessayez dans"
                " quelques instants.",
                headers=_later(),
                extensions={
                    "waiting": error.progress.waiting,
                    "published": error.progress.published,
                    "refused": error.progress.refused,
                },
            ) from error

    async def _send(
        self, request: web.Request, run: PrintRun, standing: PrintRunStanding
    ) -> web.StreamResponse:
        try:
            pieces = await self._storage.get_pieces(run.key)
        except MissingObjectError as error:
            # Removed with one of its invoices, between the two reads, and wanted again since.
            await self._forget(run)
            raise ProblemError(
                202, "being-made", "Le fichier d’impression est à refaire.", headers=_later()
            ) from error
        response = web.StreamResponse(headers=_attachment(run, "pdf"))
        response.content_type = PDF
        response.content_length = standing.size_bytes
        await response.prepare(request)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
        return response

    def operations(self) -> list[Operation]:
        """Return what billers may ask."""
        return [
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.pdf",
                handler=self.get_print_run,
                summary="The letters of a deposit, for payers without an e-mail address, in postal"
                " order; 202 while the file is being made.",
                scope="deposits:read",
                responses={200: PDF, 202: "application/problem+json"},
                query=QUERY,
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.json",
                handler=self.get_index,
                summary="Where each letter of the print run lies, where it goes, what it weighs.",
                scope="deposits:read",
                responses={200: PrintRunIndex},
                query=QUERY,
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/print-run.csv",
                handler=self.get_table,
                summary="The same as a table.",
                scope="deposits:read",
                responses={200: CSV},
                query=QUERY,
            ),
        ]


def table(run: PrintRun) -> str:
    """Return the index as CSV with semicolons, of which no cell is a formula."""
    target = StringIO()
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n")
    plain = [name for name in IndexedLetter.__struct_fields__ if name != "address"]
    lines = [f"address_{number}" for number in range(1, ADDRESS_COLUMNS + 1)]
    writer.writerow(plain + lines)
    for letter in run.index:
        address = list(letter.address[: ADDRESS_COLUMNS - 1])
        address.append(", ".join(letter.address[ADDRESS_COLUMNS - 1 :]))
        address += [""] * (ADDRESS_COLUMNS - len(address))
        cells = [getattr(letter, name) for name in plain] + address
        writer.writerow([_cell(cell) for cell in cells])
    return UTF8_MARK + target.getvalue()


def _cell(content: object) -> str:
    text = "" if content is None else str(content)
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text


def _attachment(run: PrintRun, suffix: str) -> dict[str, str]:
    return {
        "Cache-Control": "private, no-store",
        "Content-Disposition": f'attachment; filename="tirage-{run.deposit_id}.{suffix}"',
        "X-Content-Type-Options": "nosniff",
    }


def _later() -> dict[str, str]:
    return {"Retry-After": str(RETRY_AFTER_SECONDS)}


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-deposit", "Ce dépôt n’est pas connu.")
