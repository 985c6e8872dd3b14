"""Leaves files on SFTP servers and in buckets that billers named, and nowhere else.

A host is resolved first and must be public; an SFTP server must show the host key that is known.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import asyncssh
import obstore
from obstore.store import S3Store

from reconciliation.domain.destinations import (
    S3,
    Destination,
    DestinationError,
    Download,
    DropError,
    Sftp,
)
from shared.addresses import (
    ForbiddenUrlError,
    Rule,
    Target,
    read_url,
    require_callable,
)

if TYPE_CHECKING:
    # These exist for the type checker alone.
    from obstore.store import ClientConfig, RetryConfig, S3Credential

DROP_SECONDS = 120.0
"""For all files of one drop; well below a worker's lease."""
CONNECT_SECONDS = 15.0
UNFINISHED = ".part"


class FileDrops:
    """Destinations over SFTP and S3; see `Drops`."""

    def __init__(self, rule: Rule) -> None:
        """Speak to hosts that `rule` allows."""
        self._rule = rule

    def check(self, destination: Destination) -> None:
        """Return when the destination is one that may be tried; no host is resolved yet.

        Raises:
            DestinationError: a key that is none, an address that is not public, no secret.
        """
        try:
            if isinstance(destination, Sftp):
                self._sftp_target(destination)
                _check_keys(destination)
            elif isinstance(destination, S3):
                self._s3_target(destination)
                if not destination.secret_access_key:
                    pointer = "/destination/secret_access_key"
                    raise DestinationError(pointer, "La clé secrète manque.")
        except ForbiddenUrlError as error:
            is_sftp = isinstance(destination, Sftp)
            pointer = "/destination/host" if is_sftp else "/destination/endpoint"
            raise DestinationError(pointer, str(error)) from error

    async def leave(self, destination: Destination, files: Sequence[tuple[str, bytes]]) -> None:
        """Leave files in this order, each whole under its name or not at all.

        Raises:
            DropError: not now; says why.
        """
        try:
            async with asyncio.timeout(DROP_SECONDS):
                match destination:
                    case Sftp():
                        await self._leave_on_sftp(destination, files)
                    case S3():
                        await self._leave_in_bucket(destination, files)
                    case Download():
                        return
        except ForbiddenUrlError as error:
            raise DropError("forbidden-address", str(error)) from error
        except TimeoutError as error:
            raise DropError("timeout", "Le serveur ne répond pas à temps.") from error

    def _sftp_target(self, destination: Sftp) -> Target:
        # The grammar of hosts is that of URLs; which port SFTP has is the biller's affair.
        host = destination.host
        return read_url(f"https://{f'[{host}]' if ':' in host else host}/", self._rule)

    def _s3_target(self, destination: S3) -> Target:
        return read_url(destination.address, self._rule)

    async def _resolve(self, host: str, port: int) -> str:
        """Return an address of `host`, all of which must be allowed.

        Raises:
            ForbiddenUrlError: one is not.
            DropError: the name is not known.
        """
        try:
            found = await asyncio.get_running_loop().getaddrinfo(host.strip("[]"), port)
        except OSError as error:
            raise DropError("unknown-host", "Ce nom d’hôte n’est pas connu.") from error
        addresses = [str(entry[4][0]) for entry in found]
        require_callable(addresses, self._rule)
        return addresses[0]

    async def _leave_on_sftp(self, destination: Sftp, files: Sequence[tuple[str, bytes]]) -> None:
        target = self._sftp_target(destination)
        # Connected to by the address that was looked at: a second look-up might say another.
        address = await self._resolve(target.host, destination.port)
        async with _sftp(destination, address) as client:
            for name, content in files:
                path = str(PurePosixPath(destination.folder) / name)
                async with client.open(path + UNFINISHED, "wb") as target_file:
                    await target_file.write(content)
                await _rename(client, path + UNFINISHED, path)

    async def _leave_in_bucket(self, destination: S3, files: Sequence[tuple[str, bytes]]) -> None:
        target = self._s3_target(destination)
        # The library looks the name up again. A name that then leads elsewhere gains nothing: over
        # TLS, the only way outside a demo, who answers there must prove to be that name.
        await self._resolve(target.host, target.port)
        store = _bucket(destination)
        try:
            for name, content in files:
                await obstore.put_async(store, name, content)
        except (
            obstore.exceptions.PermissionDeniedError,
            obstore.exceptions.UnauthenticatedError,
        ) as error:
            raise DropError("authentication", "Le serveur refuse ces identifiants.") from error
        except (FileNotFoundError, obstore.exceptions.NotFoundError) as error:
            raise DropError("folder", "Ce seau n’existe pas.") from error
        except (obstore.exceptions.BaseError, OSError) as error:
            raise DropError("unreachable", "Le serveur ne répond pas.") from error


def _check_keys(destination: Sftp) -> None:
    """Refuse keys that are none.

    Raises:
        DestinationError: says which.
    """
    try:
        _host_keys(destination)
    except (asyncssh.KeyImportError, ValueError) as error:
        raise DestinationError(
            "/destination/host_key", "La clé d’hôte s’écrit comme dans known_hosts."
        ) from error
    if not (destination.private_key or destination.password):
        raise DestinationError(
            "/destination/private_key", "Il faut une clé privée ou un mot de passe."
        )
    if destination.private_key:
        try:
            asyncssh.import_private_key(destination.private_key)
        except (asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise DestinationError(
                "/destination/private_key",
                "La clé privée s’écrit au format OpenSSH ou PEM, sans phrase secrète.",
            ) from error


def _host_keys(destination: Sftp) -> list[asyncssh.SSHKey]:
    lines = [line for line in destination.host_key.splitlines() if line.strip()]
    if not lines:
        message = "no key"
        raise ValueError(message)
    return [asyncssh.import_public_key(line.strip()) for line in lines]


@asynccontextmanager
async def _sftp(destination: Sftp, address: str) -> AsyncIterator[asyncssh.SFTPClient]:
    """Open a session, and give every failure in it its name.

    Raises:
        DropError: says why.
    """
    keys = [asyncssh.import_private_key(destination.private_key)] if destination.private_key else []
    try:
        async with (
            # Nothing of this machine's own: neither its configuration, nor its keys or agent.
            asyncssh.connect(
                address,
                destination.port,
                config=None,
                username=destination.user,
                password=destination.password or None,
                client_keys=keys,
                agent_path=None,
                known_hosts=(_host_keys(destination), [], []),
                connect_timeout=CONNECT_SECONDS,
                login_timeout=CONNECT_SECONDS,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            yield client
    except asyncssh.HostKeyNotVerifiable as error:
        detail = "Le serveur ne montre pas la clé d’hôte attendue : rien ne lui a été envoyé."
        raise DropError("host-key", detail) from error
    except asyncssh.PermissionDenied as error:
        raise DropError("authentication", "Le serveur refuse ces identifiants.") from error
    except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath) as error:
        raise DropError("folder", "Ce dossier n’existe pas sur le serveur.") from error
    except asyncssh.SFTPError as error:
        raise DropError("refused", f"Le serveur refuse le fichier : {error.reason}") from error
    except (asyncssh.Error, OSError) as error:
        # A timeout of ours goes up as one.
        if isinstance(error, TimeoutError):
            raise
        raise DropError("unreachable", "Le serveur ne répond pas en SFTP.") from error


async def _rename(client: asyncssh.SFTPClient, source: str, target: str) -> None:
    """Give a file its name, in place of one that was left there before."""
    try:
        await client.posix_rename(source, target)
    except asyncssh.SFTPOpUnsupported:
        # Old servers rename only to a name that is free.
        if await client.exists(target):
            await client.remove(target)
        await client.rename(source, target)


def _bucket(destination: S3) -> S3Store:
    name, _, folder = destination.bucket_url.removeprefix("s3://").partition("/")
    client: ClientConfig = {
        "allow_http": destination.address.startswith("http://"),
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": timedelta(seconds=DROP_SECONDS),
    }
    # The ladder of the drops tries again; here a hiccup is bridged at most.
    patience: RetryConfig = {"max_retries": 2, "retry_timeout": timedelta(seconds=10)}

    def credentials() -> "S3Credential":
        # Given so, the store's own credentials in the AWS_* variables are never looked at.
        return {
            "access_key_id": destination.access_key_id,
            "secret_access_key": destination.secret_access_key,
            "token": None,
            "expires_at": None,
        }

    return S3Store(
        name,
        prefix=folder.strip("/") or None,
        endpoint=destination.address,
        region=destination.region,
        client_options=client,
        retry_config=patience,
        credential_provider=credentials,
    )
