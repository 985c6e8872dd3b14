"""A biller in plain Python: `python biller.py invoices.json` deposits, then reads the feed."""

import base64
import hashlib
import hmac
import json
import os
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

DEPOSITS = os.environ.get("QUITTANCE_DEPOSITS_URL", "")
COLLECTIONS = os.environ.get("QUITTANCE_COLLECTIONS_URL", "")
CURSOR = Path("cursor.txt")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the token elsewhere."""

    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow none."""


OPENER = urllib.request.build_opener(NoRedirect)


def call(
    method: str, url: str, headers: dict[str, str], body: bytes | None = None
) -> dict[str, Any]:
    """Return the JSON that answers; anything but 2xx raises, with the problem as its body."""
    request = urllib.request.Request(url, body, headers, method=method)
    with OPENER.open(request, timeout=60) as answer:
        document: dict[str, Any] = json.load(answer)
        return document


def log_in() -> dict[str, str]:
    """Return the header that proves who calls; it holds for some minutes."""
    names = ("QUITTANCE_CLIENT_ID", "QUITTANCE_CLIENT_SECRET")
    pair = ":".join(quote_plus(os.environ[name]) for name in names)
    basic = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
    body = b"grant_type=client_credentials"
    token = call("POST", os.environ["QUITTANCE_TOKEN_URL"], basic, body)["access_token"]
    return {"Authorization": f"Bearer {token}"}


def deposit(content: bytes, auth: dict[str, str]) -> None:
    """Deposit, wait until every line has its outcome, tell those that were rejected."""
    # The same content under the same key is one deposit, however often it is sent.
    key = {"Idempotency-Key": hashlib.sha256(content).hexdigest()}
    found = call("POST", f"{DEPOSITS}/v1/deposits", auth | key, content)
    url = f"{DEPOSITS}/v1/deposits/{found['deposit_id']}"
    while found["status"] not in ("done", "failed"):
        time.sleep(1)
        found = call("GET", url, auth)
    print(found["status"], "created:", found["created"], "rejected:", found["rejected"])
    lines: dict[str, Any] = {"next": -1} if found["status"] == "done" else {"next": None}
    while lines["next"] is not None:
        lines = call("GET", f"{url}/lines?status=rejected&after={lines['next']}", auth)
        for line in lines["lines"]:
            print("rejected:", line.get("number"), line["code"], line["message"])


def read_feed(auth: dict[str, str]) -> None:
    """Take everything that was paid since the last time, at least once: `event_id` tells twice."""
    after = CURSOR.read_text() if CURSOR.exists() else "0"
    while True:
        page = call("GET", f"{COLLECTIONS}/v1/collections?after={after}", auth)
        for item in page["items"]:
            print("paid:", item["event_id"], item["number"], item["kind"], item["amount_cents"])
        if not page["items"]:
            return
        after = page["next"]
        CURSOR.write_text(after)  # only now that the items are in our own books


def is_genuine(headers: dict[str, str], body: bytes, secret: str, now: float) -> bool:
    """Tell whether a webhook is from Quittance and of these minutes (Standard Webhooks 1.0)."""
    moment = headers["webhook-timestamp"]
    signed = f"{headers['webhook-id']}.{moment}.".encode() + body
    key = base64.b64decode(secret.removeprefix("whsec_"))
    ours = b"v1," + base64.b64encode(hmac.digest(key, signed, "sha256"))
    # Two signatures stand there for a day after the secret was changed.
    theirs = headers["webhook-signature"].encode().split()
    is_recent = moment.isdecimal() and abs(now - int(moment)) <= 300
    return is_recent and any(hmac.compare_digest(ours, one) for one in theirs)


if __name__ == "__main__":
    header = log_in()
    deposit(Path(sys.argv[1]).read_bytes(), header)
    read_feed(header)
