"""All documents of an account in one file, made while it is sent: neither memory nor disk grows."""

import io
import zipfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from uuid import UUID

import msgspec
import structlog
from aiohttp import web

from gateway.api.documents import refusal_of
from gateway.api.language import day_in, language_of, say
from gateway.api.listing import FILTERS
from gateway.api.reading import is_readable
from gateway.api.sending import STREAM_ERRORS, ZIP, disposition, safe_name, send_pieces
from gateway.api.site import require_citizen, site_of, today
from gateway.api.throttling import by_name, knock
from gateway.ports import (
    InvoiceView,
    OtherServices,
    RefusedError,
    ServiceUnavailableError,
)
from shared.http import Operation, ProblemError

logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(__name__)

ARCHIVE_PATH = "/factures/documents.zip"
MOST_FILES = 500
MOST_BYTES = 300 * 1024 * 1024
LARGEST_DOCUMENT_BYTES = 32 * 1024 * 1024
"""Publication takes none that large; one is held at once, so that no half of one is handed over."""
AT_ONCE = 8
"""Downloads under way in this process."""
SILENCES = 3
"""After so many documents in a row for which nobody answered, the rest is not asked for."""
PIECE_BYTES = 65_536
README = "LISEZMOI.txt"
FIRST_MOMENT = (1980, 1, 1, 0, 0, 0)
"""The files of an archive have no time of their own: the same documents give the same file."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """A document that is not in the archive, and why."""

    invoice: InvoiceView
    reason: str


class _Sink(io.RawIOBase):
    """What the archive writes, until it is taken."""

    def __init__(self) -> None:
        super().__init__()
        self._content = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, content: "bytes | bytearray | memoryview") -> int:  # type: ignore[override]
        self._content += content
        return len(content)

    def take(self) -> bytes:
        taken = bytes(self._content)
        self._content.clear()
        return taken


class Archive:
    """The readable documents of an account as one ZIP."""

    def __init__(self, services: OtherServices) -> None:
        """Fetch documents through `services`."""
        self._services = services
        self._under_way: set[UUID] = set()

    async def get_archive(self, request: web.Request) -> web.StreamResponse:
        """Send the documents that the address asks for, and what is not among them and why."""
        citizen = require_citizen(request)
        async with site_of(request).open_portal() as portal:
            invoices = await portal.own_invoices(citizen.account_id)
        wanted = _wanted(request, invoices)
        readable = [one for one in wanted if is_readable(request, one) and one.can_read]
        if not readable:
            sentence = say(
                request,
                "Aucun document n’est consultable pour ce choix : chacun l’est pendant 90 jours.",
            )
            raise ProblemError(404, "nothing-to-read", sentence)
        await knock(request, by_name("archive", str(citizen.account_id)))
        with self._slot(request, citizen.account_id):
            missing = [_not_readable(request, one) for one in wanted if one not in readable]
            return await send_pieces(
                request,
                self._pieces(request, readable, missing),
                content_type=ZIP,
                content_disposition=disposition(
                    "documents.zip", is_attachment=True, spoken_name=_name(request)
                ),
            )

    @contextmanager
    def _slot(self, request: web.Request, account_id: UUID) -> Iterator[None]:
        if account_id in self._under_way:
            sentence = say(
                request, "Un téléchargement est déjà en cours pour ce compte. Attendez sa fin."
            )
            raise ProblemError(429, "under-way", sentence, headers={"Retry-After": "30"})
        if len(self._under_way) >= AT_ONCE:
            sentence = say(
                request, "Trop de téléchargements sont en cours. Réessayez dans un instant."
            )
            raise ProblemError(503, "busy", sentence, headers={"Retry-After": "30"})
        self._under_way.add(account_id)
        try:
            yield
        finally:
            self._under_way.discard(account_id)

    async def _pieces(
        self, request: web.Request, readable: Sequence[InvoiceView], missing: list[Missing]
    ) -> AsyncIterator[bytes]:
        """Yield the archive piece by piece; the next document is asked for when one is sent.

        Raises:
            ServiceUnavailableError: nobody answers for the very first document.
        """
        sink = _Sink()
        names = _names(readable)
        sent_bytes = silences = count = 0
        # A store that is not seekable gets each size after its file; that needs compression.
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            for position, invoice in enumerate(readable):
                stop = _stop(request, position, sent_bytes, silences)
                if stop:
                    missing += [Missing(invoice=one, reason=stop) for one in readable[position:]]
                    break
                try:
                    content = await self._document(invoice)
                except RefusedError as error:
                    reason = refusal_of(request, invoice, error).detail
                    missing.append(Missing(invoice=invoice, reason=reason))
                    continue
                except ServiceUnavailableError:
                    if position == 0:
                        raise
                    silences += 1
                    missing.append(Missing(invoice=invoice, reason=_silent(request)))
                    continue
                count, silences, sent_bytes = count + 1, 0, sent_bytes + len(content)
                member = zipfile.ZipInfo(names[invoice.invoice_id], FIRST_MOMENT)
                member.compress_type = zipfile.ZIP_DEFLATED
                with archive.open(member, "w") as file:
                    for start in range(0, len(content), PIECE_BYTES):
                        file.write(content[start : start + PIECE_BYTES])
                        yield sink.take()
                yield sink.take()
            readme = zipfile.ZipInfo(README, FIRST_MOMENT)
            readme.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(readme, _readme(request, count, missing))
        yield sink.take()
        logger.info("archive sent", documents=count, missing=len(missing))

    async def _document(self, invoice: InvoiceView) -> bytes:
        """Return a document whole, asked for once more if nobody answered.

        Raises:
            RefusedError: publication does not give it.
            ServiceUnavailableError: twice nobody answered, or it broke off.
        """
        try:
            return await self._fetched(invoice)
        except ServiceUnavailableError:
            return await self._fetched(invoice)

    async def _fetched(self, invoice: InvoiceView) -> bytes:
        content = bytearray()
        try:
            async with self._services.document(invoice.invoice_id) as pieces:
                async for piece in pieces:
                    content += piece
                    if len(content) > LARGEST_DOCUMENT_BYTES:
                        message = f"{invoice.invoice_id} is too large"
                        raise ServiceUnavailableError(message)
        except STREAM_ERRORS as error:
            raise ServiceUnavailableError(repr(error)) from error
        return bytes(content)

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path=ARCHIVE_PATH,
                handler=self.get_archive,
                summary="The readable PDFs of an account's invoices in one file.",
                query={
                    "annee": "Year of issue.",
                    "autorite": "One authority.",
                    "etat": ", ".join(FILTERS),
                },
                responses={200: ZIP},
                tags=("portal",),
            )
        ]


def _wanted(request: web.Request, invoices: Sequence[InvoiceView]) -> list[InvoiceView]:
    """Return the invoices of a year, an authority and a state; what is empty asks for all."""
    year, authority, state = (request.query.get(n, "") for n in ("annee", "autorite", "etat"))
    statuses = FILTERS.get(state)
    return [
        one
        for one in invoices
        if year in ("", str(one.issued_on.year))
        and authority in ("", one.authority)
        and (statuses is None or one.status(today(request)) in statuses)
    ]


def _stop(request: web.Request, files: int, sent_bytes: int, silences: int) -> str:
    """Return why nothing more is put in, or nothing."""
    if files >= MOST_FILES or sent_bytes >= MOST_BYTES:
        return say(
            request,
            "laissé de côté : un fichier contient au plus %(count)d documents et %(size)d Mo."
            " Choisissez une année ou une collectivité.",
            count=MOST_FILES,
            size=MOST_BYTES // (1024 * 1024),
        )
    return _silent(request) if silences >= SILENCES else ""


def _silent(request: web.Request) -> str:
    return say(request, "n’a pas pu être lu : réessayez plus tard.")


def _not_readable(request: web.Request, invoice: InvoiceView) -> Missing:
    if invoice.is_withdrawn:
        reason = say(request, "retirée par la collectivité.")
    elif not invoice.can_read:
        reason = say(request, "vous avez le droit de la payer, pas de la lire.")
    else:
        reason = say(
            request,
            "plus consultable depuis le %(until)s : les 90 jours sont passés. La collectivité peut"
            " vous la donner.",
            until=day_in(language_of(request), invoice.readable_until),
        )
    return Missing(invoice=invoice, reason=reason)


def _names(invoices: Sequence[InvoiceView]) -> dict[UUID, str]:
    """Return each document's name in the archive; two régies may use one number."""
    names: dict[UUID, str] = {}
    taken: set[str] = set()
    for invoice in invoices:
        stem = f"{safe_name(invoice.authority)}/{safe_name(invoice.number)}"
        name, count = f"{stem}.pdf", 1
        while name.lower() in taken:
            count += 1
            name = f"{stem}-{count}.pdf"
        taken.add(name.lower())
        names[invoice.invoice_id] = name
    return names


def _name(request: web.Request) -> str:
    year = request.query.get("annee", "")
    return f"factures-{year}.zip" if year.isdecimal() and year.isascii() else "factures.zip"


def _readme(request: web.Request, count: int, missing: Sequence[Missing]) -> bytes:
    """Return the words beside the documents, in the form that every system's editor reads."""
    lines = [
        say(request, "Vos factures, telles que les collectivités les ont publiées."),
        "",
        say(request, "Documents dans ce fichier : %(count)d.", count=count),
    ]
    if missing:
        lines += ["", say(request, "Ce qui n’y est pas :")]
        lines += [f"- {_named(one.invoice)} : {one.reason}" for one in missing]
    return ("\ufeff" + "\r\n".join([*lines, ""])).encode()


def _named(invoice: InvoiceView) -> str:
    return f"{invoice.authority_name}, {invoice.number}, {invoice.subject}"
