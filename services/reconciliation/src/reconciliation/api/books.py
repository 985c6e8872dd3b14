"""The doors of reconciliation: the billers' feed, accounts and balances."""

from datetime import date, timedelta
from uuid import UUID

import msgspec
from aiohttp import web

from reconciliation.domain.ledger import AccountState
from reconciliation.ports import Balance, DayTotal, FeedItem, FeedReader, OpenUnit
from shared.auth import Principal
from shared.clock import Clock
from shared.http import Operation, ProblemError, json_response, page_limit, principal, read_json

PAGE = 500


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far the caller has read; `rewind` lets it go back, which it never does otherwise."""

    cursor: str
    rewind: bool = False


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """Where `GET /v1/collections` goes on from when it is asked without `after`."""

    cursor: str


class FeedPage(msgspec.Struct, frozen=True, kw_only=True):
    """Items oldest first; ask again with `after=next`, or acknowledge `next`: at least once."""

    items: tuple[FeedItem, ...]
    next: str
    has_more: bool


class InvoiceAccount(msgspec.Struct, frozen=True, kw_only=True):
    """One invoice in the books, in cents."""

    invoice_id: UUID
    regie: str
    number: str
    version: int
    kind: str
    amount_cents: int
    received_cents: int
    outstanding_cents: int
    is_withdrawn: bool


class TrialBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Every account of the ledger, and their sum, which is zero."""

    balances: tuple[Balance, ...]
    total_cents: int


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What the books say was collected, by civil day in France and régie."""

    items: tuple[DayTotal, ...]


class Doors:
    """The operations, over the books."""

    def __init__(self, open_unit: OpenUnit, clock: Clock) -> None:
        """Read through `open_unit`."""
        self._open_unit = open_unit
        self._clock = clock

    async def get_collections(self, request: web.Request) -> web.Response:
        """Return the next page of the feed of the caller's régies."""
        caller = principal(request)
        reader = _reader(caller)
        after = request.query.get("after", "0")
        if not _is_cursor(after):
            raise ProblemError(400, "invalid-cursor", "« after » n’est pas un repère du flux.")
        limit = page_limit(request, default=PAGE, most=PAGE)
        async with self._open_unit() as unit:
            if "after" not in request.query:
                after = str(await unit.books.cursor(reader))
            found = await unit.books.items(caller.authority, caller.regies, int(after), limit + 1)
        items = found[:limit]
        return json_response(
            FeedPage(
                items=tuple(items),
                next=str(items[-1].position) if items else after,
                has_more=len(found) > len(items),
            )
        )

    async def acknowledge(self, request: web.Request) -> web.Response:
        """Keep how far the caller has read the feed."""
        reader = _reader(principal(request))
        body = await read_json(request, Acknowledgement)
        kept = None
        if _is_cursor(body.cursor):
            async with self._open_unit() as unit:
                kept = await unit.books.acknowledge(
                    reader, int(body.cursor), self._clock.now(), may_rewind=body.rewind
                )
        if kept is None:
            raise ProblemError(
                422, "invalid-cursor", "Ce n’est pas un repère du flux.", pointer="/cursor"
            )
        return json_response(Acknowledged(cursor=str(kept)))

    async def get_account(self, request: web.Request) -> web.Response:
        """Return one invoice's account."""
        try:
            invoice_id = UUID(request.match_info["invoice_id"])
        except ValueError:
            invoice_id = UUID(int=0)
        async with self._open_unit() as unit:
            state = await unit.books.account(invoice_id)
        if state is None or not principal(request).may_act_for(state.authority, state.regie):
            raise ProblemError(404, "unknown-invoice", "Cette facture n’est pas connue.")
        return json_response(_account(state))

    async def get_balance(self, request: web.Request) -> web.Response:
        """Return every account of the ledger and their sum."""
        async with self._open_unit() as unit:
            balances = await unit.books.balances(principal(request).authority)
        total = sum(balance.amount_cents for balance in balances)
        return json_response(TrialBalance(balances=tuple(balances), total_cents=total))

    async def get_collected(self, request: web.Request) -> web.Response:
        """Return what was collected between two days, by day and régie."""
        try:
            last = date.fromisoformat(request.query["to"])
            first = date.fromisoformat(
                request.query.get("from", (last - timedelta(days=30)).isoformat())
            )
        except (KeyError, ValueError) as error:
            raise ProblemError(400, "invalid-day", "Les jours s’écrivent AAAA-MM-JJ.") from error
        caller = principal(request)
        authority = caller.authority or request.query.get("authority", "")
        async with self._open_unit() as unit:
            items = await unit.books.collected(authority, first, last)
        return json_response(Collected(items=tuple(items)))

    def operations(self) -> list[Operation]:
        """Return what reconciliation serves."""
        return [
            Operation(
                method="GET",
                path="/v1/collections",
                handler=self.get_collections,
                summary="The feed of payments and reversals, oldest first, at least once.",
                scope="collections:read",
                query={
                    "after": "Where the last page ended; without it, what was acknowledged.",
                    "limit": f"1 to {PAGE}.",
                },
                responses={200: FeedPage},
            ),
            Operation(
                method="POST",
                path="/v1/collections/acknowledge",
                handler=self.acknowledge,
                summary="Keep how far the caller has read the feed.",
                scope="collections:read",
                request=Acknowledgement,
                responses={200: Acknowledged},
            ),
            Operation(
                method="GET",
                path="/v1/accounts/{invoice_id}",
                handler=self.get_account,
                summary="One invoice in the books.",
                scope="collections:read",
                responses={200: InvoiceAccount},
            ),
            Operation(
                method="GET",
                path="/v1/ledger/balance",
                handler=self.get_balance,
                summary="Every account of the ledger and their sum.",
                scope="figures:read",
                responses={200: TrialBalance},
            ),
            Operation(
                method="GET",
                path="/v1/ledger/collected",
                handler=self.get_collected,
                summary="What was collected, by day and régie.",
                scope="figures:read",
                query={
                    "authority": "One authority only.",
                    "from": "First day.",
                    "to": "Last day.",
                },
                responses={200: Collected},
            ),
        ]


def _reader(caller: Principal) -> FeedReader:
    if not caller.authority:
        raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
    return FeedReader(authority=caller.authority, client=caller.subject)


def _is_cursor(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= 18


def _account(state: AccountState) -> InvoiceAccount:
    return InvoiceAccount(
        invoice_id=state.invoice_id,
        regie=state.regie,
        number=state.number,
        version=state.version,
        kind=state.kind,
        amount_cents=state.amount_cents,
        received_cents=state.received_cents,
        outstanding_cents=state.outstanding_cents,
        is_withdrawn=state.is_known and state.is_withdrawn,
    )
