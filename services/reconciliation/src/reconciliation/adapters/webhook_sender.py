"""Webhooks leave here: to public addresses only, once, briefly, with nothing followed."""

import asyncio
from collections.abc import Mapping

import aiohttp

from reconciliation.domain.webhooks import Outcome, outcome_of
from reconciliation.ports import Call
from shared.addresses import ForbiddenUrlError, Rule, read_url
from shared.outgoing import (
    ForbiddenAddressError,
    Lookup,
    WayOut,
    beginning,
    look_up,
    printable,
)

TIMEOUT_SECONDS = 15.0
"""For everything: name, connection, request, answer."""
CHECK_SECONDS = 5.0
KEPT_BYTES = 1024
"""How much of an answer is read."""
KEPT_DETAIL = 300


class WebhookSender:
    """The way out; see `ports.Sender`. Make one for each lane, within a running loop."""

    def __init__(
        self,
        rule: Rule,
        *,
        calls: int,
        lookup: Lookup = look_up,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        """Call what `rule` allows; `calls` is how many there are at a time."""
        self._rule = rule
        self._timeout_seconds = timeout_seconds
        self._way = WayOut(
            rule,
            name="Quittance-Webhooks",
            calls=calls,
            timeout_seconds=timeout_seconds,
            lookup=lookup,
        )

    async def close(self) -> None:
        """Close what is open."""
        await self._way.close()

    async def check(self, url: str) -> None:
        """Return if the address may be called.

        Raises:
            ForbiddenUrlError: it may not, or its name leads nowhere.
        """
        target = read_url(url, self._rule)
        if target.is_literal:
            return
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await self._way.resolve(target.host)
        except ForbiddenAddressError as error:
            raise ForbiddenUrlError(str(error)) from error
        except (OSError, UnicodeError) as error:
            reason = "Cet hôte n’a pas d’adresse."
            raise ForbiddenUrlError(reason) from error

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Call:
        """Post once and return how it ended, within seconds; never follows a redirect."""
        try:
            # Judged at every call: the rule may have changed since it was registered.
            read_url(url, self._rule)
            async with self._way.session.post(
                url, data=body, headers=headers, allow_redirects=False
            ) as answer:
                return Call(
                    outcome=outcome_of(answer.status),
                    status=answer.status,
                    answer=await beginning(answer, KEPT_BYTES),
                )
        except ForbiddenUrlError as error:
            return Call(outcome=Outcome.FORBIDDEN, detail=str(error))
        except TimeoutError:
            return Call(outcome=Outcome.SILENT, detail=f"no answer in {self._timeout_seconds:g} s")
        except aiohttp.ClientConnectorError as error:
            is_forbidden = isinstance(error.os_error, ForbiddenAddressError)
            outcome = Outcome.FORBIDDEN if is_forbidden else Outcome.UNREACHABLE
            return Call(outcome=outcome, detail=printable(str(error.os_error), KEPT_DETAIL))
        except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as error:
            return Call(outcome=Outcome.UNREACHABLE, detail=printable(repr(error), KEPT_DETAIL))
