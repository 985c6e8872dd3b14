"""The scanner: reads the code of a paper with the camera, in the page, and sends nothing."""

from urllib.parse import urlsplit

from aiohttp import web

from gateway.api.site import site_of
from gateway.api.web import content_policy, page, render
from shared.http import Operation

WASM = "'self' 'wasm-unsafe-eval'"
"""The reader of codes is compiled in the browser where it has none of its own. This lets a page
compile WebAssembly that it fetched from us, not evaluate text (CSP level 3)."""
CAMERA_ONLY = "camera=(self), geolocation=(), microphone=(), payment=()"


class Scanner:
    """The page of the scanner, the only one that may ask for the camera."""

    async def get_scanner(self, request: web.Request) -> web.Response:
        """Show the scanner; without scripts, the form in which a code is typed."""
        site = site_of(request)
        parts = urlsplit(site.public_url)
        response = render(request, "scan.html", origin=f"{parts.scheme}://{parts.netloc}")
        response.headers["Permissions-Policy"] = CAMERA_ONLY
        response.headers["Content-Security-Policy"] = content_policy(site, scripts=WASM)
        return response

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [page("GET", "/scanner", self.get_scanner, "Read a paper's code with the camera.")]
