"""Where somebody is logged in, and from which browsers they have been (ASVS 7.4.3, 7.5.2)."""

from aiohttp import web

from gateway.api.factors import id_of, unknown
from gateway.api.forgery import read_form
from gateway.api.holders import AGENTS, CITIZENS, holder_of, place_of
from gateway.api.site import see_other, site_of
from gateway.api.web import page, render
from shared.http import Operation

FRAMES = (CITIZENS, AGENTS)


class Sessions:
    """Pages of sessions and browsers."""

    async def get_sessions(self, request: web.Request) -> web.StreamResponse:
        """List sessions and browsers, this one marked."""
        place, holder = place_of(request), await holder_of(request)
        site = site_of(request)
        now = site.clock.now()
        async with site.open_portal() as portal:
            sessions = await portal.sessions(holder.owner, holder.secret, now)
            held = request.cookies.get(site.browser_cookie, "")
            browsers = await portal.browsers(holder.owner, held, now)
        return render(
            request,
            "sessions.html",
            place=place,
            sessions=sessions,
            browsers=browsers,
            done=request.query.get("fait", ""),
        )

    async def post_end(self, request: web.Request) -> web.StreamResponse:
        """End one session.

        Raises:
            ProblemError: 404, they have no such one.
        """
        place, holder = place_of(request), await holder_of(request)
        session_id = id_of(request, (await read_form(request)).get("session_id"))
        async with site_of(request).open_portal() as portal:
            if not await portal.end_session_of(holder.owner, session_id):
                raise unknown(request)
        return see_other(f"{place.sessions}?fait=fin")

    async def post_end_others(self, request: web.Request) -> web.StreamResponse:
        """End every session but this one."""
        place, holder = place_of(request), await holder_of(request)
        async with site_of(request).open_portal() as portal:
            await portal.end_other_sessions(holder.owner, holder.secret)
        return see_other(f"{place.sessions}?fait=autres")

    async def post_forget(self, request: web.Request) -> web.StreamResponse:
        """Forget a browser, and end what is open in it.

        Raises:
            ProblemError: 404, they have no such one.
        """
        place, holder = place_of(request), await holder_of(request)
        browser_id = id_of(request, (await read_form(request)).get("browser_id"))
        async with site_of(request).open_portal() as portal:
            if not await portal.forget_browser(holder.owner, browser_id):
                raise unknown(request)
        return see_other(f"{place.sessions}?fait=oubli")

    def operations(self) -> list[Operation]:
        """Return what is served."""
        return [
            page(method, place.sessions + path, handler, summary, place.tag)
            for place in FRAMES
            for method, path, handler, summary in (
                ("GET", "", self.get_sessions, "Sessions and browsers."),
                ("POST", "/fin", self.post_end, "End a session."),
                ("POST", "/autres", self.post_end_others, "End the other sessions."),
                ("POST", "/oubli", self.post_forget, "Forget a browser."),
            )
        ]
