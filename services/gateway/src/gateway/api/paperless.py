"""The billers' door: for whom nothing is to be printed."""

from datetime import datetime

import msgspec
from aiohttp import web

from gateway.api.site import site_of
from shared.http import Operation, ProblemError, json_response, page_limit, principal

PAGE = 500
LONGEST_PAGE = 1000


class Payer(msgspec.Struct, frozen=True, kw_only=True):
    """A payer who wants no paper, by the biller's own reference, and since when."""

    reference: str
    since: datetime


class PaperlessPage(msgspec.Struct, frozen=True, kw_only=True):
    """Payers by reference; ask again with `after=next` until it is null."""

    payers: tuple[Payer, ...]
    next: str | None


class PaperlessDoor:
    """What billers ask before they print."""

    async def get_paperless(self, request: web.Request) -> web.Response:
        """Return the next payers of the caller's régies who want no paper at this moment.

        Raises:
            ProblemError: 403, a token of no authority; 400, a parameter is wrong.
        """
        caller = principal(request)
        if not caller.authority:
            raise ProblemError(403, "no-authority", "Ce jeton n’est lié à aucune collectivité.")
        after = request.query.get("after", "")
        # PostgreSQL holds no such character, so no reference has it.
        if "\x00" in after:
            raise ProblemError(400, "invalid-cursor", "« after » n’est pas une référence.")
        limit = page_limit(request, default=PAGE, most=LONGEST_PAGE)
        async with site_of(request).open_portal() as portal:
            found = await portal.paperless(caller.authority, caller.regies, after, limit + 1)
        payers = found[:limit]
        return json_response(
            PaperlessPage(
                payers=tuple(Payer(reference=one.reference, since=one.since) for one in payers),
                next=payers[-1].reference if len(found) > len(payers) else None,
            ),
            headers={"Cache-Control": "no-store"},
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            Operation(
                method="GET",
                path="/v1/paperless",
                handler=self.get_paperless,
                summary="Payers for whom nothing is to be printed at this moment, by reference.",
                scope="collections:read",
                query={
                    "after": "Reference where the last page ended.",
                    "limit": f"1 to {LONGEST_PAGE}, {PAGE} without it.",
                },
                responses={200: PaperlessPage},
                tags=("billers",),
            )
        ]
