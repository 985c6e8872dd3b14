"""From where something is done, in words that people recognise: a browser, a network address."""

import re

from aiohttp import web

from gateway.api.throttling import subscriber
from gateway.ports import Facts

BROWSERS = (
    ("Edg", "Edge"),
    ("OPR", "Opera"),
    ("SamsungBrowser", "Samsung Internet"),
    ("Firefox", "Firefox"),
    ("FxiOS", "Firefox"),
    ("CriOS", "Chrome"),
    ("Chrome", "Chrome"),
    ("Safari", "Safari"),
)
"""The first that is named counts: most call themselves by the names of those before them too."""
SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)


def facts_of(request: web.Request) -> Facts:
    """Return from where a request came."""
    return Facts(
        subscriber=subscriber(request),
        browser=browser_of(request.headers.get("User-Agent", "")),
    )


def browser_of(user_agent: str) -> str:
    """Return `Firefox, Windows`; what is not recognised is left out, and nothing is copied."""
    browser = next(
        (name for mark, name in BROWSERS if re.search(rf"\b{mark}[A-Za-z]*/", user_agent)), ""
    )
    system = next((name for mark, name in SYSTEMS if mark in user_agent), "")
    return ", ".join(part for part in (browser, system) if part)
