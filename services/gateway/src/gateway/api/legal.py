"""The pages that the law asks for; who answers for them comes from the authorities' own file."""

from aiohttp import web

from gateway.api.appearance import LOOKS
from gateway.api.web import page, render
from shared.http import Operation

LEGAL = ("accessibilite", "mentions-legales", "donnees-personnelles")


class Legal:
    """Legal pages."""

    async def get_legal(self, request: web.Request) -> web.Response:
        """Show one of the pages that the law asks for."""
        return render(
            request, f"{request.path.strip('/')}.html", authorities=request.app[LOOKS].all()
        )

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [page("GET", f"/{name}", self.get_legal, f"Legal page: {name}.") for name in LEGAL]
