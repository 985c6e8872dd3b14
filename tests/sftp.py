"""A real SFTP server for tests, over a folder of its own."""

from pathlib import Path
from types import TracebackType
from typing import Self

import asyncssh

USER = "quittance"
PASSWORD = "mot de passe"


class _Door(asyncssh.SSHServer):
    def __init__(self, client_key: asyncssh.SSHKey) -> None:
        self._client_key = client_key

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return username == USER and key.public_data == self._client_key.public_data


class SftpServer:
    """A server on 127.0.0.1 that shows a host key, and lets one user in by password or by key."""

    def __init__(self, folder: Path, *, renames_over: bool = True) -> None:
        """Serve `folder`; without `renames_over` it is an old server, which replaces no file."""
        self.folder = folder
        self.port = 0
        self.host_key = asyncssh.generate_private_key("ssh-ed25519")
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.seen: list[list[str]] = []
        self._renames_over = renames_over
        self._acceptor: asyncssh.SSHAcceptor | None = None

    @property
    def public_host_key(self) -> str:
        """The line that a biller hands over."""
        return self.host_key.export_public_key().decode().strip()

    @property
    def private_client_key(self) -> str:
        """The key that a biller made for us."""
        return self.client_key.export_private_key().decode()

    def names(self) -> list[str]:
        """Return what lies in the folder."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*.*"))

    async def __aenter__(self) -> Self:
        """Start it."""
        self._acceptor = await asyncssh.listen(
            "127.0.0.1",
            self.port,
            server_host_keys=[self.host_key],
            server_factory=lambda: _Door(self.client_key),
            sftp_factory=self._session,
        )
        self.port = self._acceptor.get_port()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it, and every session."""
        if self._acceptor is not None:
            self._acceptor.close()
            await self._acceptor.wait_closed()

    def _session(self, channel: asyncssh.SSHServerChannel[bytes]) -> asyncssh.SFTPServer:
        return _Folder(channel, self)

    @property
    def renames_over(self) -> bool:
        """Whether a file may be given the name of another."""
        return self._renames_over


class _Folder(asyncssh.SFTPServer):
    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: SftpServer) -> None:
        super().__init__(channel, chroot=str(server.folder).encode())
        self._server = server

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        if not self._server.renames_over:
            raise asyncssh.SFTPOpUnsupported("not here")  # noqa: TRY003
        self._server.seen.append(self._server.names())
        super().posix_rename(oldpath, newpath)

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        if self.map_path(newpath) and Path(self.map_path(newpath).decode()).exists():
            raise asyncssh.SFTPFailure("there already")  # noqa: TRY003
        self._server.seen.append(self._server.names())
        super().rename(oldpath, newpath)
