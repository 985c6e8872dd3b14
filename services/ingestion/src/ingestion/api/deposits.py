"""Deposits: taking them, following them, the outcome of each line."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated
from uuid import UUID

import msgspec
from aiohttp import web

from ingestion.domain import DepositStatus, InvoiceDraft, PublishMode, Rejection, Release
from ingestion.ports import (
    DepositProgress,
    DepositRow,
    Incoming,
    LineRow,
    OpenUnit,
    Received,
    Terms,
)
from shared.auth import Principal
from shared.http import Operation, ProblemError, json_response, principal

LINES_PER_PAGE = 1000
IDEMPOTENCY_KEY_LENGTH = 255
WAIT_SECONDS = 10
LONGEST_WAIT_SECONDS = 30
MAXIMUM_VERSION = 999_999_999

_WAIT = re.compile(r"(?:^|[,;]\s*)wait\s*=\s*\"?(\d{1,4})\"?")
STATUSES = ("created", "unchanged", "superseded", "rejected")


class DepositDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A deposit in JSON; the other formats say the same in their own words."""

    invoices: Annotated[tuple[InvoiceDraft, ...], msgspec.Meta(min_length=1, max_length=10_000)]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Why a deposit could not be read."""

    code: str
    pointer: str
    detail: str


class DepositState(msgspec.Struct, frozen=True, kw_only=True):
    """How far a deposit is and what became of its lines; amounts in cents."""

    deposit_id: UUID
    status: DepositStatus
    format: str
    received_at: str
    is_dry_run: bool
    size_bytes: int
    read_bytes: int
    total: int
    created: int
    unchanged: int
    superseded: int
    rejected: int
    amount_cents: int
    publish: str
    release: Release
    mapping: dict[str, str]
    problem: Problem | None


class LinePage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines of a deposit; `next` continues where this page ends."""

    lines: tuple[LineRow, ...]
    next: int | None


class Intake(msgspec.Struct, frozen=True, kw_only=True):
    """How deposits are taken, as the wiring gives it: `begin` reads one in the background."""

    receive: Callable[[web.Request], Awaitable[Incoming]]
    keep: Callable[[Received, Terms], Awaitable[DepositRow | UUID]]
    begin: Callable[[DepositRow, Incoming], "asyncio.Task[None]"]


class DepositDoors:
    """The operations on deposits, over what the wiring gives."""

    def __init__(self, *, intake: Intake, open_unit: OpenUnit) -> None:
        """Keep the parts; `operations` lists what is served."""
        self._intake = intake
        self._open_unit = open_unit

    async def post_deposit(self, request: web.Request) -> web.Response:
        """Take a deposit: 202 with how far it is, whatever becomes of its lines."""
        terms = _terms(request, principal(request))
        seconds = _patience(request)
        incoming = await self._intake.receive(request)
        try:
            kept = await self._intake.keep(incoming.received, terms)
        except BaseException:
            await incoming.discard()
            raise
        if isinstance(kept, UUID):
            await incoming.discard()
            deposit_id = kept
        else:
            deposit_id = kept.deposit_id
            # Shielded: a client that hangs up, or a wait that ends, leaves the reading alone.
            reading = self._intake.begin(kept, incoming)
            await asyncio.wait([reading], timeout=seconds)
        async with self._open_unit() as unit:
            deposit = await unit.deposits.progress(deposit_id)
        if deposit is None:
            raise _unknown()
        if deposit.problem is not None:
            raise _failed(deposit)
        return json_response(
            state(deposit), status=202, headers={"Location": f"/v1/deposits/{deposit_id}"}
        )

    async def get_deposit(self, request: web.Request) -> web.Response:
        """Return how far a deposit is."""
        return json_response(state(await find_deposit(request, self._open_unit)))

    async def get_lines(self, request: web.Request) -> web.Response:
        """Return lines of a deposit, all or those of one status, a page at a time."""
        deposit = await find_deposit(request, self._open_unit)
        status = request.query.get("status")
        if status is not None and status not in STATUSES:
            raise ProblemError(400, "invalid-parameter", "Ce statut de ligne n’existe pas.")
        after = request.query.get("after", "-1")
        if not re.fullmatch(r"-1|[0-9]{1,9}", after):
            raise ProblemError(400, "invalid-parameter", "« after » est un numéro de ligne.")
        async with self._open_unit() as unit:
            lines = await unit.deposits.lines(
                deposit.deposit_id, status, int(after), LINES_PER_PAGE
            )
        more = len(lines) == LINES_PER_PAGE
        return json_response(
            LinePage(lines=tuple(lines), next=lines[-1].position if more else None)
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="POST",
                path="/v1/deposits",
                handler=self.post_deposit,
                summary="Deposit invoices, in any of the formats that are read.",
                scope="deposits:write",
                request=DepositDocument,
                raw_types=(
                    "application/x-ndjson",
                    "application/pdf",
                    "application/xml",
                    "application/zip",
                    "multipart/form-data",
                    "text/csv",
                ),
                query={
                    "regie": "Régie of invoices whose format does not name one.",
                    "version": "Version of every invoice, for formats that have none.",
                    "publish": "auto, manual, or the day on which to publish.",
                    "dry_run": "true: read and check, keep nothing.",
                },
                query_patterns={
                    "version": "^[1-9][0-9]{0,8}$",
                    "publish": "^(auto|manual|20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8]))$",
                    "dry_run": "^(true|false)$",
                },
                responses={202: DepositState},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}",
                handler=self.get_deposit,
                summary="Progress and totals of a deposit.",
                scope="deposits:read",
                responses={200: DepositState},
            ),
            Operation(
                method="GET",
                path="/v1/deposits/{deposit_id}/lines",
                handler=self.get_lines,
                summary="Outcome of each line of a deposit.",
                scope="deposits:read",
                query={"status": "Only lines of this outcome.", "after": "Last position seen."},
                query_patterns={
                    "status": f"^({'|'.join(STATUSES)})$",
                    "after": "^(-1|[0-9]{1,9})$",
                },
                responses={200: LinePage},
            ),
        ]


async def find_deposit(request: web.Request, open_unit: OpenUnit) -> DepositProgress:
    """Return the deposit that the address names.

    Raises:
        ProblemError: 404 unknown, or not the caller's.
    """
    caller = principal(request)
    deposit_id = to_uuid(request.match_info["deposit_id"])
    async with open_unit() as unit:
        deposit = await unit.deposits.progress(deposit_id) if deposit_id else None
    # Another's deposit is answered as one that does not exist.
    if deposit is None or not caller.may_act_for(deposit.authority):
        raise _unknown()
    if caller.authority and not set(deposit.regies) <= set(caller.regies):
        raise _unknown()
    return deposit


def state(deposit: DepositProgress) -> DepositState:
    """Return a deposit as it is shown."""
    totals, problem = deposit.totals, deposit.problem
    return DepositState(
        deposit_id=deposit.deposit_id,
        status=deposit.status,
        format=deposit.format,
        received_at=deposit.received_at.isoformat(),
        is_dry_run=deposit.is_dry_run,
        size_bytes=deposit.size_bytes,
        read_bytes=deposit.read_bytes,
        total=totals.total,
        created=totals.created,
        unchanged=totals.unchanged,
        superseded=totals.superseded,
        rejected=totals.rejected,
        amount_cents=totals.amount_cents,
        publish=deposit.publish_on.isoformat() if deposit.publish_on else deposit.publish.value,
        release=deposit.release,
        mapping=dict(deposit.mapping),
        problem=Problem(code=problem.code, pointer=problem.pointer, detail=problem.message)
        if problem
        else None,
    )


def to_uuid(text: str) -> UUID | None:
    """Return the id that an address names, or None when it is none."""
    try:
        return UUID(text)
    except ValueError:
        return None


def _unknown() -> ProblemError:
    return ProblemError(404, "unknown-deposit", "Ce dépôt n’est pas connu.")


def _failed(deposit: DepositProgress) -> ProblemError:
    problem = deposit.problem or Rejection(code="internal_error", pointer="", message="")
    code = problem.code
    status = 400
    if code.endswith("too_large") or code in ("zip_bomb", "resource_limit"):
        status = 413
    elif code == "unsupported_format":
        status = 415
    elif code == "internal_error":
        status = 500
    return ProblemError(
        status,
        code.replace("_", "-"),
        problem.message,
        pointer=problem.pointer,
        extensions={"deposit_id": str(deposit.deposit_id)},
    )


def _terms(request: web.Request, caller: Principal) -> Terms:
    if not caller.authority:
        raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= IDEMPOTENCY_KEY_LENGTH:
        raise ProblemError(
            400, "invalid-idempotency-key", "La clé d’idempotence compte de 1 à 255 caractères."
        )
    mode, day = _publish(request.query.get("publish", "auto"))
    return Terms(
        authority=caller.authority,
        client=caller.subject,
        regies=caller.regies,
        idempotency_key=key,
        regie=request.query.get("regie") or None,
        version=_version(request.query.get("version")),
        publish=mode,
        publish_on=day,
        is_dry_run=_flag(request.query.get("dry_run", "false")),
    )


def _publish(text: str) -> tuple[PublishMode, date | None]:
    if text in (PublishMode.AUTO, PublishMode.MANUAL):
        return PublishMode(text), None
    try:
        return PublishMode.AT, date.fromisoformat(text)
    except ValueError as error:
        raise ProblemError(
            400, "invalid-parameter", "« publish » vaut auto, manual ou une date AAAA-MM-JJ."
        ) from error


def _version(text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MAXIMUM_VERSION:
        raise ProblemError(400, "invalid-parameter", "« version » est un nombre à partir de 1.")
    return int(text)


def _flag(text: str) -> bool:
    if text not in ("true", "false"):
        raise ProblemError(400, "invalid-parameter", "« dry_run » vaut true ou false.")
    return text == "true"


def _patience(request: web.Request) -> float:
    """Return how long the caller will wait, in seconds (RFC 7240, `wait` and `respond-async`)."""
    prefer = request.headers.get("Prefer", "")
    wait = _WAIT.search(prefer)
    if wait:
        return float(min(int(wait.group(1)), LONGEST_WAIT_SECONDS))
    return 0.0 if "respond-async" in prefer else float(WAIT_SECONDS)
