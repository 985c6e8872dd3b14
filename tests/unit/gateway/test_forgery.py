"""Only our own pages, in the same browser and session, can make anything happen."""

import asyncio
from itertools import pairwise

import pytest

from tests.unit.gateway.door import EMAIL, PASSWORD, TOKEN, Door, an_invoice
from tests.unit.gateway.fakes import PAYFIP, PROVIDER

pytestmark = pytest.mark.enable_socket

FORMS = [
    "/connexion",
    "/deconnexion",
    "/compte/creer",
    "/langue",
    "/q",
    f"/q/{TOKEN}/rattacher",
    "/payer",
    "/regie/connexion",
    "/connexion/cle",
    "/connexion/verification",
    "/compte/securite/application",
    "/compte/sessions/autres",
    "/regie/activation/application",
]


async def seal_of(door: Door) -> str:
    return (await door.get("/accessibilite")).fields("/langue")["formulaire"]


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_without_our_seal_does_nothing(door: Door, path: str) -> None:
    """S5: on every unsafe method, logged in or not."""
    await door.publish(an_invoice())
    await door.log_in()

    page = await door.post(path, {"token": TOKEN, "email": EMAIL, "password": PASSWORD})

    assert page.status == 403
    assert await door.count("link") == 0
    assert await door.count("session") == 1
    assert door.services.demands == []


async def test_a_seal_needs_the_cookie_it_was_made_for(door: Door) -> None:
    """What another browser was given is worth nothing here."""
    seal = await seal_of(door)
    door.forget_cookies()

    page = await door.post("/langue", {"formulaire": seal, "langue": "en"})

    assert page.status == 403


async def test_a_cookie_and_a_field_that_merely_agree_are_not_enough(door: Door) -> None:
    """A double submit is signed: whoever can set a cookie cannot make its seal."""
    planted = "a" * 43
    door.set_cookie("form", planted)

    page = await door.post("/langue", {"formulaire": planted, "langue": "en"})

    assert page.status == 403


async def test_a_seal_made_before_the_login_is_worth_nothing_after_it(door: Door) -> None:
    """The seal is bound to the session."""
    before = await seal_of(door)
    await door.log_in()

    page = await door.post("/deconnexion", {"formulaire": before})

    assert page.status == 403
    assert await door.count("session") == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"},
        {"Origin": "https://factures.exemple.test.evil.test"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "null", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://["},
    ],
)
async def test_a_form_from_another_site_is_refused_even_with_a_seal(
    door: Door, headers: dict[str, str]
) -> None:
    """S5: the browser says where a form comes from."""
    page = await door.submit("/langue", {"langue": "en"}, headers)

    assert page.status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://factures.exemple.test"},
        {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "none"},
    ],
)
async def test_a_form_of_ours_is_taken_as_browsers_send_it(
    door: Door, headers: dict[str, str]
) -> None:
    """Pages that send no referrer make browsers say `null` for the origin."""
    page = await door.submit("/langue", {"langue": "en"}, headers)

    assert page.status == 303


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"email=\xff\xfe", "application/x-www-form-urlencoded"),
        (b"email=a%00b", "application/x-www-form-urlencoded"),
        (b"email=a", "application/x-www-form-urlencoded; charset=klingon"),
        (b"email=+2AA-", "application/x-www-form-urlencoded; charset=utf-7"),
        (b"formulaire=\\ud800", "application/x-www-form-urlencoded; charset=unicode_escape"),
        (b"no boundary", "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"&".join(b"a=1" for _ in range(101)), "application/x-www-form-urlencoded"),
        (
            b'--x\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\nb\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
    ],
)
async def test_a_form_that_cannot_be_read_is_refused_and_breaks_nothing(
    door: Door, body: bytes, content_type: str
) -> None:
    """Bad bytes, no characters, unknown charsets, files: 400 or 403, never 500."""
    await seal_of(door)

    page = await door.post("/connexion", body, {"Content-Type": content_type})

    assert page.status in (400, 403)


async def test_a_form_that_is_too_long_is_refused(door: Door) -> None:
    """No form of ours needs 64 kB."""
    page = await door.submit("/connexion", {"email": "a" * 70_000})

    assert page.status == 413
    assert "trop grand" in page.text


@pytest.mark.parametrize("path", ["/", "/connexion", f"/q/{TOKEN}", "/nowhere", "/q/unknown"])
async def test_every_page_carries_the_headers_that_protect_it(door: Door, path: str) -> None:
    """S6, K7: no script, no frame, no referrer, forms only to us and to the payment pages."""
    await door.publish(an_invoice())

    headers = (await door.get(path)).headers

    parts = [part.split() for part in headers["Content-Security-Policy"].split(";")]
    policy = {words[0]: words[1:] for words in parts}
    assert policy["script-src"] == ["'self'"]
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == ["'none'"]
    assert policy["object-src"] == ["'none'"]
    assert policy["base-uri"] == ["'none'"]
    assert policy["form-action"] == ["'self'", PROVIDER, PAYFIP]
    expected = "no-referrer" if path.startswith("/q/") else "same-origin"
    assert headers["Referrer-Policy"] == expected
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"


async def test_pages_need_nothing_inline(door: Door) -> None:
    """The policy allows neither inline scripts nor inline styles, and pages have none."""
    await door.publish(an_invoice())
    await door.log_in()

    for path in ("/", "/connexion", f"/q/{TOKEN}", "/factures", "/compte", "/regie/connexion"):
        content = (await door.get(path)).content
        assert b"<script>" not in content
        assert b"style=" not in content
        assert b" on" + b"click" not in content


async def test_a_public_address_is_in_no_log(
    door: Door, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """K7: what opens an invoice is written nowhere, right or wrong."""
    await door.publish(an_invoice())

    await door.get(f"/q/{TOKEN}")
    await door.get("/q/wrong-but-secret-all-the-same")
    door.services.is_down = True
    await door.get(f"/q/{TOKEN}/facture.pdf")

    written = capsys.readouterr()
    everything = written.out + written.err + caplog.text
    assert TOKEN not in everything
    assert "wrong-but-secret" not in everything


async def test_a_page_is_built_for_readers_of_every_kind(door: Door) -> None:
    """RGAA: language, skip link, landmarks, one title, labels, and the statement in the footer."""
    content = (await door.get("/connexion")).content.decode()

    assert '<html lang="fr">' in content
    assert 'class="skip" href="#contenu"' in content
    assert '<main id="contenu"' in content
    assert content.count("<h1") == 1
    for name in ("email", "password"):
        assert f'<label for="{name}">' in content
        assert f'id="{name}"' in content
    assert "Accessibilité\u00a0: non conforme" in content


async def test_headings_never_skip_a_level(door: Door) -> None:
    """RGAA 9.1."""
    await door.publish(an_invoice())

    for path in ("/", f"/q/{TOKEN}", "/accessibilite", "/mentions-legales"):
        content = (await door.get(path)).content.decode()
        levels = [int(part[0]) for part in content.split("<h")[1:] if part[0].isdigit()]
        assert levels[0] == 1
        assert all(after - before <= 1 for before, after in pairwise(levels))


async def test_an_unknown_page_says_so_as_a_page(door: Door) -> None:
    """A person never meets a bare error."""
    page = await door.get("/nowhere")

    assert page.status == 404
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert "Cette page n’existe pas" in page.text


async def test_the_style_may_be_kept_for_ever_under_its_version(door: Door) -> None:
    """A changed style has another address."""
    home = (await door.get("/")).content.decode()
    address = home.split('rel="stylesheet" href="')[1].split('"')[0]

    page = await door.get(address)

    assert page.status == 200
    assert "immutable" in page.headers["Cache-Control"]
    assert len(page.content) < 12_000
    missing = await door.get("/static/nothing.css")
    assert (missing.status, "Cache-Control" in missing.headers) == (404, False)


async def test_a_session_that_is_no_text_turns_nobody_else_away(door: Door) -> None:
    """Sessions are looked up many at a time: one that was made up breaks none beside it."""
    await door.log_in()
    session, made_up = door.cookie("session").encode(), b'"\xff"'

    statuses = await asyncio.gather(
        *(_status(door, made_up if number % 2 else session) for number in range(20))
    )

    assert statuses == [b"200", b"303"] * 10


@pytest.mark.parametrize(
    ("path", "status"), [("/connexion/verification", b"303"), ("/connexion/cle", b"200")]
)
async def test_a_login_half_made_that_is_no_text_is_nobodys(
    door: Door, path: str, status: bytes
) -> None:
    """A cookie that was made up is answered like none."""
    assert await _status(door, b'"\xff"', path, "pending") == status


async def _status(
    door: Door, value: bytes, path: str = "/factures", name: str = "session"
) -> bytes:
    """Return the answer's status to a cookie that no library of ours would send."""
    address = door.address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    head = f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nCookie: {name}=".encode()
    writer.write(head + value + b"\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer.split(b" ", 2)[1]
