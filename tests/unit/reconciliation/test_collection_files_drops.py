"""Leaving files on a real SFTP server: whole or not at all, and only where it was asked."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncssh
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from reconciliation.adapters import drops
from reconciliation.adapters.drops import FileDrops
from reconciliation.domain.destinations import (
    S3,
    DestinationError,
    Download,
    DropError,
    Sftp,
    split,
    with_kept_secrets,
)
from shared.addresses import Rule
from tests.sftp import PASSWORD, USER, SftpServer

pytestmark = pytest.mark.enable_socket

FILES = [("day.csv", b"a;b\r\n"), ("day.csv.json", b"{}\n")]
DEMO = Rule(allows_private=True)
PUBLIC = Rule()
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()


@pytest_asyncio.fixture
async def server(tmp_path: Path) -> AsyncIterator[SftpServer]:
    """Return a server with one empty folder, `depot`."""
    (tmp_path / "depot").mkdir()
    async with SftpServer(tmp_path) as started:
        yield started


def an_sftp(server: SftpServer, **changes: Any) -> Sftp:
    fields: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": server.port,
        "user": USER,
        "folder": "depot",
        "private_key": server.private_client_key,
        "host_key": server.public_host_key,
    }
    return Sftp(**fields | changes)


def an_s3(**changes: Any) -> S3:
    fields = {
        "bucket_url": "s3://encaissements/saint-aubin",
        "endpoint": "https://s3.example.fr",
        "access_key_id": "key",
        "secret_access_key": "secret",
    }
    return S3(**fields | changes)


async def test_files_are_left_whole_and_in_order(server: SftpServer) -> None:
    """Each lies under another name until it is complete; what describes it comes last."""
    await FileDrops(DEMO).leave(an_sftp(server), FILES)

    assert server.names() == ["depot/day.csv", "depot/day.csv.json"]
    assert (server.folder / "depot" / "day.csv").read_bytes() == b"a;b\r\n"
    assert server.seen == [
        ["depot/day.csv.part"],
        ["depot/day.csv", "depot/day.csv.json.part"],
    ]


async def test_a_password_opens_too(server: SftpServer) -> None:
    """For servers that have no keys; the folder may be the one that opens by itself."""
    destination = an_sftp(server, private_key="", password=PASSWORD, folder="")

    await FileDrops(DEMO).leave(destination, FILES[:1])

    assert server.names() == ["day.csv"]


@pytest.mark.parametrize("renames_over", [True, False])
async def test_left_again_a_file_replaces_itself(tmp_path: Path, *, renames_over: bool) -> None:
    """On old servers too, which give no file the name of another."""
    async with SftpServer(tmp_path, renames_over=renames_over) as server:
        destination = an_sftp(server, folder="")
        await FileDrops(DEMO).leave(destination, [("day.csv", b"first")])

        await FileDrops(DEMO).leave(destination, [("day.csv", b"second")])

        assert server.names() == ["day.csv"]
        assert (tmp_path / "day.csv").read_bytes() == b"second"


async def test_a_large_file_is_left_whole(server: SftpServer) -> None:
    """Larger than a packet and than the window of the protocol."""
    content = bytes(range(256)) * 20_000

    await FileDrops(DEMO).leave(an_sftp(server), [("large.csv", content)])

    assert (server.folder / "depot" / "large.csv").read_bytes() == content


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"host_key": OTHER_KEY}, "host-key"),
        ({"private_key": "", "password": "another"}, "authentication"),
        ({"user": "nobody"}, "authentication"),
        ({"folder": "missing"}, "folder"),
        ({"port": 1}, "unreachable"),
        ({"host": "nowhere.invalid"}, "unknown-host"),
    ],
)
async def test_what_went_wrong_has_a_name(
    server: SftpServer, changes: dict[str, Any], code: str
) -> None:
    """The biller reads why, and nothing was left; with a wrong host key nothing was even sent."""
    with pytest.raises(DropError) as failure:
        await FileDrops(DEMO).leave(an_sftp(server, **changes), FILES)

    assert failure.value.code == code
    assert server.names() == []


async def test_a_folder_that_may_not_be_written_is_told(server: SftpServer) -> None:
    """What stands in the way is the server's word, handed on."""
    (server.folder / "depot" / "day.csv.part").mkdir()

    with pytest.raises(DropError) as failure:
        await FileDrops(DEMO).leave(an_sftp(server), FILES)

    assert failure.value.code == "refused"
    assert not (server.folder / "depot" / "day.csv").exists()


async def test_a_private_address_is_never_spoken_to(server: SftpServer) -> None:
    """Outside a demo, neither by its number nor by a name that leads there (ASVS 1.3.6)."""
    public = FileDrops(PUBLIC)

    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(DropError) as failure:
            await public.leave(an_sftp(server, host=host), FILES)
        assert failure.value.code == "forbidden-address"
    with pytest.raises(DropError) as failure:
        await public.leave(an_s3(endpoint="https://localhost"), FILES)

    assert failure.value.code == "forbidden-address"
    assert server.names() == []


@pytest.mark.parametrize(
    ("destination", "pointer"),
    [
        ({"host": "10.0.0.1"}, "/destination/host"),
        ({"host": "::1"}, "/destination/host"),
        ({"host": "a b"}, "/destination/host"),
        ({"host": "user@host.example"}, "/destination/host"),
        ({"host_key": "not a key"}, "/destination/host_key"),
        ({"host_key": "\n"}, "/destination/host_key"),
        ({"private_key": ""}, "/destination/private_key"),
        ({"private_key": "not a key"}, "/destination/private_key"),
    ],
)
def test_an_sftp_server_that_cannot_be_used_is_refused_when_it_is_set(
    destination: dict[str, Any], pointer: str
) -> None:
    """Without a host key nobody knows whose server answers; without a key nobody gets in."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    fields: dict[str, Any] = {
        "host": "sftp.example.fr",
        "user": USER,
        "private_key": key.export_private_key().decode(),
        "host_key": OTHER_KEY,
    }
    FileDrops(PUBLIC).check(Sftp(**fields))

    with pytest.raises(DestinationError) as refusal:
        FileDrops(PUBLIC).check(Sftp(**fields | destination))

    assert refusal.value.pointer == pointer


def test_a_key_behind_a_passphrase_is_refused_when_it_is_set() -> None:
    """Nobody is there at night to type it."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    destination = Sftp(
        host="sftp.example.fr",
        user=USER,
        private_key=key.export_private_key("pkcs8-pem", passphrase="secret").decode(),
        host_key=OTHER_KEY,
    )

    with pytest.raises(DestinationError) as refusal:
        FileDrops(PUBLIC).check(destination)

    assert refusal.value.pointer == "/destination/private_key"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"secret_access_key": ""}, "/destination/secret_access_key"),
        ({"endpoint": "http://s3.example.fr"}, "/destination/endpoint"),
        ({"endpoint": "https://169.254.169.254"}, "/destination/endpoint"),
        ({"endpoint": "https://s3.example.fr:5432"}, "/destination/endpoint"),
        ({"endpoint": "s3.example.fr"}, "/destination/endpoint"),
    ],
)
def test_a_bucket_that_cannot_be_used_is_refused_when_it_is_set(
    changes: dict[str, Any], pointer: str
) -> None:
    """Only over TLS, and never into our own network."""
    FileDrops(PUBLIC).check(an_s3())
    FileDrops(PUBLIC).check(an_s3(endpoint=""))

    with pytest.raises(DestinationError) as refusal:
        FileDrops(PUBLIC).check(an_s3(**changes))

    assert refusal.value.pointer == pointer


async def test_our_own_stores_credentials_are_never_shown_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The AWS_* variables are for our own store; a biller's bucket hears nothing of them."""
    heard: list[web.Request] = []
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "ours")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "our-secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "our-token")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    application = web.Application()

    async def put(request: web.Request) -> web.Response:
        heard.append(request)
        await request.read()
        return web.Response(headers={"ETag": '"1"'})

    application.router.add_put("/{path:.*}", put)
    async with TestServer(application) as server:
        endpoint = str(server.make_url("")).rstrip("/")
        await FileDrops(DEMO).leave(an_s3(endpoint=endpoint), FILES)

    assert [request.path for request in heard] == [
        "/encaissements/saint-aubin/day.csv",
        "/encaissements/saint-aubin/day.csv.json",
    ]
    assert all("Credential=key/" in request.headers["Authorization"] for request in heard)
    assert not any("our" in str(dict(request.headers)) for request in heard)


async def test_a_server_that_says_nothing_is_not_waited_for(
    server: SftpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It takes the connection and is silent: a lease would end before it."""
    monkeypatch.setattr(drops, "CONNECT_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(DropError) as failure:
            await FileDrops(DEMO).leave(an_sftp(server, port=port), FILES)

    assert failure.value.code == "timeout"


@pytest.mark.parametrize(("status", "code"), [(404, "folder"), (403, "authentication")])
async def test_what_a_bucket_answers_has_a_name(status: int, code: str) -> None:
    """Neither a bucket that is missing nor one that is closed stays a riddle."""
    application = web.Application()

    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=status)

    application.router.add_put("/{path:.*}", refuse)
    async with TestServer(application) as store:
        endpoint = str(store.make_url("")).rstrip("/")
        with pytest.raises(DropError) as failure:
            await FileDrops(DEMO).leave(an_s3(endpoint=endpoint), FILES)

    assert failure.value.code == code


async def test_a_bucket_that_does_not_answer_is_told(unused_tcp_port: int) -> None:
    """Nobody listens there."""
    with pytest.raises(DropError) as failure:
        await FileDrops(DEMO).leave(an_s3(endpoint=f"http://127.0.0.1:{unused_tcp_port}"), FILES)

    assert failure.value.code == "unreachable"


async def test_a_biller_that_fetches_its_files_is_left_nothing() -> None:
    """To download is a destination too, of which nothing is to be checked."""
    FileDrops(PUBLIC).check(Download())

    await FileDrops(PUBLIC).leave(Download(), FILES)


def test_secrets_are_kept_for_the_place_they_were_given_for() -> None:
    """A setting that is read, changed and sent back keeps its password; no other host gets it."""
    given = Sftp(host="a.example.fr", user=USER, password="secret", host_key=OTHER_KEY)
    kept, secrets = split(given)
    elsewhere = Sftp(host="b.example.fr", user=USER, host_key=OTHER_KEY)
    renewed = Sftp(host="a.example.fr", user=USER, password="new", host_key=OTHER_KEY)

    assert kept == Sftp(host="a.example.fr", user=USER, host_key=OTHER_KEY)
    assert secrets == {"password": "secret"}
    assert with_kept_secrets(kept, kept, secrets) == given
    assert with_kept_secrets(elsewhere, kept, secrets) == elsewhere
    assert with_kept_secrets(renewed, kept, secrets) == renewed
    assert with_kept_secrets(Download(), kept, secrets) == Download()
