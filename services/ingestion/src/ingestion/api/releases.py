"""Held deposits: looking before they are published, publishing them, dropping them; mappings."""

import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Protocol
from uuid import UUID

import msgspec
from aiohttp import web

from ingestion.api.deposits import DepositState, find_deposit, state
from ingestion.domain import Release
from ingestion.ports import HeldInvoice, OpenUnit, RegieTotal
from shared.clock import Clock
from shared.events import InvoiceGenerated
from shared.http import Operation, ProblemError, json_response, principal, read_json

SAMPLE = 5

Column = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PreviewLine(msgspec.Struct, frozen=True, kw_only=True):
    """One held invoice, as it would be published."""

    position: int
    invoice: InvoiceGenerated


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """What a held deposit would publish: sums by régie in cents, and some lines drawn at random."""

    totals: tuple[RegieTotal, ...]
    lines: tuple[PreviewLine, ...]


class ColumnMapping(msgspec.Struct, frozen=True, kw_only=True):
    """Which column of a régie's tables holds which field."""

    mapping: dict[str, Column]


class Previewer(Protocol):
    """Shows what a document will look like."""

    async def preview(self, event: InvoiceGenerated, authorization: str) -> bytes:
        """Return the PDF.

        Raises:
            ProblemError: publication's own refusal, or 503 when it does not answer.
        """
        ...


class ReleaseDoors:
    """The operations on held deposits, over what the wiring gives."""

    def __init__(
        self,
        *,
        release: Callable[[UUID], Awaitable[None]],
        cancel: Callable[[UUID], Awaitable[None]],
        open_unit: OpenUnit,
        previewer: Previewer,
        fields: frozenset[str],
        clock: Clock,
    ) -> None:
        """Keep the parts; `fields` are the names that a mapping may use."""
        self._release = release
        self._cancel = cancel
        self._open_unit = open_unit
        self._previewer = previewer
        self._fields = fields
        self._clock = clock

    async def get_preview(self, request: web.Request) -> web.Response:
        """Return sums by régie and five lines drawn at random."""
        deposit = await find_deposit(request, self._open_unit)
        if deposit.release is not Release.HELD:
            raise _not_held()
        async with self._open_unit() as unit:
            totals = await unit.invoices.totals(deposit.deposit_id)
            drawn = await unit.invoices.held_sample(deposit.deposit_id, SAMPLE)
        return json_response(
            Preview(
                totals=tuple(totals),
                lines=tuple(
                    PreviewLine(position=held.position, invoice=held.event)
                    for held in sorted(drawn, key=lambda held: held.position)
                ),
            )
        )

    async def get_preview_document(self, request: web.Request) -> web.Response:
        """Return what the document of one held line will look like."""
        deposit = await find_deposit(request, self._open_unit)
        held = await self._held(deposit.deposit_id, request.match_info["position"])
        content = await self._previewer.preview(held.event, request.headers["Authorization"])
        return web.Response(body=content, content_type="application/pdf")

    async def _held(self, deposit_id: UUID, position: str) -> HeldInvoice:
        if re.fullmatch("[0-9]{1,9}", position):
            async with self._open_unit() as unit:
                for held in await unit.invoices.held(deposit_id, int(position) - 1, 1):
                    if held.position == int(position):
                        return held
        raise ProblemError(404, "unknown-line", "Cette ligne n’est pas en attente de publication.")

    async def post_release(self, request: web.Request) -> web.Response:
        """Publish a held deposit now."""
        deposit = await find_deposit(request, self._open_unit)
        await self._release(deposit.deposit_id)
        return json_response(state(await find_deposit(request, self._open_unit)))

    async def post_cancel(self, request: web.Request) -> web.Response:
        """Drop a held deposit."""
        deposit = await find_deposit(request, self._open_unit)
        await self._cancel(deposit.deposit_id)
        return json_response(state(await find_deposit(request, self._open_unit)))

    async def get_mapping(self, request: web.Request) -> web.Response:
        """Return the columns remembered for the tables of a régie."""
        authority, regie = await self._regie(request)
        async with self._open_unit() as unit:
            mapping = await unit.deposits.mapping(authority, regie)
        return json_response(ColumnMapping(mapping=dict(mapping)))

    async def put_mapping(self, request: web.Request) -> web.Response:
        """Set the columns of the tables of a régie; an empty mapping forgets them."""
        authority, regie = await self._regie(request)
        wanted = await read_json(request, ColumnMapping)
        unknown = sorted(wanted.mapping.keys() - self._fields)
        if unknown:
            raise ProblemError(
                422,
                "unknown-field",
                "Ces champs n’existent pas : " + ", ".join(name[:40] for name in unknown[:10]),
                pointer="/mapping",
            )
        async with self._open_unit() as unit:
            await unit.deposits.keep_mapping(authority, regie, wanted.mapping, self._clock.now())
        return json_response(wanted)

    async def _regie(self, request: web.Request) -> tuple[str, str]:
        caller = principal(request)
        regie = request.match_info["regie"]
        async with self._open_unit() as unit:
            authority = await unit.deposits.authority(caller.authority or "")
        is_known = authority is not None and regie in authority.regies
        if not is_known or not caller.may_act_for(caller.authority or "", regie):
            raise ProblemError(404, "unknown-regie", "Cette régie n’est pas connue.")
        return caller.authority or "", regie

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/preview",
                handler=self.get_preview,
                summary="What a held deposit would publish.",
                scope="deposits:read",
                responses={200: Preview},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/preview/{position}.pdf",
                handler=self.get_preview_document,
                summary="What the document of a held line will look like.",
                scope="deposits:read",
                responses={200: "application/pdf"},
            ),
            Operation(
                method="POST",
                path="/v1/deposits/{deposit_id}/release",
                handler=self.post_release,
                summary="Publish a held deposit now.",
                scope="deposits:write",
                responses={200: DepositState},
            ),
            Operation(
                method="POST",
                path="/v1/deposits/{deposit_id}/cancel",
                handler=self.post_cancel,
                summary="Drop a held deposit.",
                scope="deposits:write",
                responses={200: DepositState},
            ),
            Operation(
                method="GET",
                path="/v1/regies/{regie}/mapping",
                handler=self.get_mapping,
                summary="Columns remembered for the tables of a régie.",
                scope="deposits:read",
                responses={200: ColumnMapping},
            ),
            Operation(
                method="PUT",
                path="/v1/regies/{regie}/mapping",
                handler=self.put_mapping,
                summary="Set the columns of the tables of a régie.",
                scope="deposits:write",
                request=ColumnMapping,
                responses={200: ColumnMapping},
            ),
        ]


def _not_held() -> ProblemError:
    return ProblemError(409, "not-held", "Ce dépôt n’est pas en attente de publication.")
