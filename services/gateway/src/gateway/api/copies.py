"""What the worker keeps on a device: whose it is, and how it is taken away again."""

from hashlib import sha256

from aiohttp import web

from gateway.api.site import visitor_of

MARK = "X-Account-Mark"


def mark_account(request: web.Request, response: web.StreamResponse) -> None:
    """Let the worker know when another account comes, by a mark that is nothing else's name.

    It is made without a key: one that is replaced would make every device forget its owner. Pages
    for nobody carry none: a session that ended by itself leaves the copies to its owner.
    """
    visitor = visitor_of(request)
    if visitor is not None:
        owner = f"mark {visitor.account_id or visitor.login}".encode()
        response.headers[MARK] = sha256(owner).hexdigest()[:16]


def forget_copies(response: web.StreamResponse) -> None:
    """Let the browser drop all that scripts kept, with the worker and its subscription.

    The worker forgets by itself when it sees a logout; this holds where it does not run. Nothing of
    ours is in the HTTP cache, whose clearing takes browsers seconds: it is not asked for.
    """
    response.headers["Clear-Site-Data"] = '"storage"'
