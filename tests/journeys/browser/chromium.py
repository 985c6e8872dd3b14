"""Where the browser is, and how it is started: nothing but this machine can be reached."""

import shutil

from playwright.async_api import ViewportSize

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)

PHONE: ViewportSize = {"width": 390, "height": 844}
DESK: ViewportSize = {"width": 1280, "height": 900}
NARROWEST: ViewportSize = {"width": 320, "height": 640}
"""WCAG 2.2, 1.4.10: content reflows at 320 CSS pixels, which is 1280 at 400 %."""
DOUBLED: ViewportSize = {"width": 640, "height": 450}
"""What is left of 1280 pixels at 200 %."""


def executable() -> str:
    """Return the path of a Chromium.

    Raises:
        RuntimeError: there is none.
    """
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    message = f"none of {', '.join(NAMES)} is installed"
    raise RuntimeError(message)
