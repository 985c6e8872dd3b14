"""The portal's own files: styles, scripts, pictures; each under an address of its version."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from aiohttp import web

FOLDER = Path(__file__).parents[1] / "static"
ASSET: web.AppKey[Callable[[str], str]] = web.AppKey("asset")
"""What gives the versioned address of a file."""
YEAR_SECONDS = 31_536_000
MEDIA = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
}


def serve_assets(application: web.Application) -> Callable[[str], str]:
    """Serve `static` under `/static/`; return what gives the versioned address of a file."""
    files = {
        path.relative_to(FOLDER).as_posix(): path.read_bytes()
        for path in sorted(FOLDER.rglob("*"))
        if path.suffix in MEDIA
    }
    versions = {name: sha256(content).hexdigest()[:12] for name, content in files.items()}

    async def get_file(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name not in files:
            raise web.HTTPNotFound
        answer = web.Response(body=files[name], content_type=MEDIA[Path(name).suffix])
        if not name.endswith(".png"):
            answer.enable_compression()
        # Kept for ever under its version; an address without one is asked again.
        is_versioned = request.query.get("v") == versions[name]
        answer.headers["Cache-Control"] = (
            f"public, max-age={YEAR_SECONDS}, immutable" if is_versioned else "no-cache"
        )
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        return answer

    application.router.add_get("/static/{name:.+}", get_file)
    return lambda name: f"/static/{name}?v={versions[name]}"
