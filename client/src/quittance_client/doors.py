"""Calls the doors: with a token, again when that is harmless, streaming both ways.

Certificates are verified, no redirect is followed (it would carry the token elsewhere), every wait
has an end.
"""

import ssl
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote_plus

import httpx

from quittance_client import documents
from quittance_client.documents import Document
from quittance_client.errors import RefusedError, SettingsError, UnavailableError
from quittance_client.pace import LONGEST_ASKED_SECONDS, RETRY_DELAYS_SECONDS, Pace
from quittance_client.profile import Profile

TIMEOUTS = httpx.Timeout(60.0, connect=10.0)
LATER = frozenset({429, 502, 503, 504})
"""Answers that ask to come back."""
UNTOUCHED = frozenset({429, 503})
"""Those of them that also say that nothing was done."""
RENEW_BEFORE_SECONDS = 30.0
CHUNK_BYTES = 65_536
NEVER_ARRIVED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)

T = TypeVar("T")

Notice = Callable[[float, str], None]
"""Told before each wait: for how long, and why."""
Progress = Callable[[int, int | None], None]
"""Told as bytes arrive: how many so far, of how many if that is known."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request, as often as it has to be sent."""

    method: str
    url: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Callable[[], Iterator[bytes]] | None = None
    json: Document | None = None
    may_repeat: bool = True
    """Whether a second arrival is harmless; else it is sent again only if none can have arrived."""


class Doors:
    """The doors of one profile; use it as a context manager."""

    def __init__(self, profile: Profile, pace: Pace, notice: Notice) -> None:
        """Call as `profile` says; nothing is sent yet."""
        self.profile = profile
        self._pace = pace
        self._notice = notice
        self._token = ""
        self._token_ends = 0.0
        self._client = httpx.Client(timeout=TIMEOUTS, verify=_trust(profile))

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close its connections."""
        self._client.close()

    def ask(self, call: Call) -> Document:
        """Return the JSON document that answers, empty for an empty answer.

        Raises:
            RefusedError: the door refuses.
            UnavailableError: it cannot be reached, or says "later" too often.
        """
        return self._persist(call, _read_document)

    def fetch(self, call: Call, target: Path, progress: Progress) -> int:
        """Stream a 200 answer into `target` and return 200; any other success returns its status.

        A download that breaks begins anew; `target` is whole when this returns 200.

        Raises:
            RefusedError, UnavailableError: as `ask`.
            OSError: the file cannot be written.
        """

        def store(response: httpx.Response) -> int:
            if response.status_code != 200:
                content = response.read()
                if not response.is_success:
                    raise refusal(response, content)
                return response.status_code
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() else None
            with target.open("wb") as file:
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    file.write(chunk)
                    progress(file.tell(), total)
            return 200

        return self._persist(call, store)

    def _persist(self, call: Call, read: Callable[[httpx.Response], T]) -> T:
        """Send until it is answered; a token that is refused is renewed once before each wait."""
        delays = self._pace.delays()
        is_renewed = False
        while True:
            try:
                token = self._current_token(delays)
                with self._stream(call, token) as response:
                    status = response.status_code
                    if status == 401 and not is_renewed:
                        is_renewed = True
                        self._token = ""
                        continue
                    if status not in LATER:
                        return read(response)
                    if not call.may_repeat and status not in UNTOUCHED:
                        raise UnavailableError("doubtful", url=_host(call.url))
                    retry_after = response.headers.get("Retry-After")
            except httpx.TransportError as error:
                self._wait_after(error, call.url, delays, may_repeat=call.may_repeat)
            else:
                self._wait_for_door(call.url, status, retry_after, delays)
            is_renewed = False

    def _stream(self, call: Call, token: str) -> AbstractContextManager[httpx.Response]:
        return self._client.stream(
            call.method,
            call.url,
            params=dict(call.query) or None,
            headers={**call.headers, "Authorization": f"Bearer {token}"},
            content=call.content() if call.content is not None else None,
            json=call.json,
        )

    def _current_token(self, delays: Iterator[float]) -> str:
        """Return a token that lasts; ask for one if there is none (RFC 6749, 4.4)."""
        url = self.profile.token_url
        while not self._token or self._pace.monotonic() >= self._token_ends:
            asked_at = self._pace.monotonic()
            try:
                response = self._client.post(
                    url,
                    data={"grant_type": "client_credentials"},
                    headers={"Authorization": self._basic()},
                )
            except httpx.TransportError as error:
                # To ask twice for a token is harmless, whatever it is then used for.
                self._wait_after(error, url, delays, may_repeat=True)
                continue
            if response.status_code in LATER:
                retry_after = response.headers.get("Retry-After")
                self._wait_for_door(url, response.status_code, retry_after, delays)
                continue
            if response.status_code != 200:
                raise refusal(response, response.content)
            document = documents.read(response.content)
            lifetime = documents.number(document, "expires_in")
            # A token shorter than the margin is used all the same, at least once.
            self._token_ends = asked_at + max(1.0, lifetime - RENEW_BEFORE_SECONDS)
            self._token = documents.text(document, "access_token")
        return self._token

    def _basic(self) -> str:
        # RFC 6749, 2.3.1: both halves are form-encoded before they are joined.
        pair = f"{quote_plus(self.profile.client_id)}:{quote_plus(self.profile.read_secret())}"
        return "Basic " + b64encode(pair.encode()).decode()

    def _wait_after(
        self, error: httpx.TransportError, url: str, delays: Iterator[float], *, may_repeat: bool
    ) -> None:
        reason = type(error).__name__
        untrusted = _certificate_error(error)
        if untrusted is not None:
            raise UnavailableError(
                "untrusted", url=_host(url), reason=untrusted.verify_message
            ) from error
        if not may_repeat and not isinstance(error, NEVER_ARRIVED):
            raise UnavailableError("doubtful", url=_host(url)) from error
        delay = next(delays, None)
        if delay is None or isinstance(error, httpx.LocalProtocolError):
            raise UnavailableError("no-answer", url=_host(url), reason=reason) from error
        self._notice(delay, reason)
        self._pace.sleep(delay)

    def _wait_for_door(
        self, url: str, status: int, retry_after: str | None, delays: Iterator[float]
    ) -> None:
        delay = next(delays, None)
        asked = self._pace.asked_wait(retry_after)
        if asked is not None and asked > LONGEST_ASKED_SECONDS:
            raise UnavailableError("much-later", url=_host(url), seconds=round(asked))
        if delay is None:
            tries = len(RETRY_DELAYS_SECONDS) + 1
            raise UnavailableError("later", url=_host(url), status=status, tries=tries)
        # Not sooner than was asked; a little later, so that many clients do not return as one.
        wait = delay if asked is None else max(delay, asked * (1 + self._pace.chance() / 4))
        self._notice(wait, str(status))
        self._pace.sleep(wait)


def _trust(profile: Profile) -> ssl.SSLContext | bool:
    if profile.ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=profile.ca_file)
    except OSError as error:
        raise SettingsError("file-unreadable", path=profile.ca_file, reason=error) from error


def _certificate_error(error: BaseException | None) -> ssl.SSLCertVerificationError | None:
    """Return the certificate's fault behind a failed connection: no wait would mend it."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error
        error = error.__cause__ or error.__context__
    return None


def _host(url: str) -> str:
    return httpx.URL(url).host


def _read_document(response: httpx.Response) -> Document:
    content = response.read()
    if not response.is_success:
        raise refusal(response, content)
    return documents.read(content) if content else {}


def refusal(response: httpx.Response, content: bytes) -> RefusedError:
    """Return what an answer says against the request, in whatever form it says it."""
    status = response.status_code
    try:
        problem = documents.read(content)
    except RefusedError:
        problem = {}
    code = problem.get("code") or problem.get("error") or f"http-{status}"
    detail = problem.get("detail") or problem.get("error_description") or response.reason_phrase
    return RefusedError(
        status,
        str(code),
        str(detail),
        pointer=str(problem.get("pointer") or ""),
        trace_id=str(problem.get("trace_id") or ""),
    )
