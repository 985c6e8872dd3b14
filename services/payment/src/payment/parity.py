"""`python -m payment.parity FILE --account A --from DAY --to DAY`: our attempts against a list."""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path

import msgspec

from payment.domain.parity import Finding
from payment.domain.statements import read_statement
from payment.handlers.compare_statement import compare_statement, keep_statement
from payment.settings import Settings
from payment.store.unit import PostgresUnit
from shared import environment
from shared.errors import QuittanceError
from shared.postgres import Database


async def compare(url: str, content: bytes, account: str, first: date, last: date) -> list[Finding]:
    """Keep the list in the database at `url` and return every difference of the period.

    Raises:
        UnreadableStatementError: the file is no list of payments.
    """
    lines = read_statement(content)
    database = await Database.connect(url, size=1, service="payment-parity")

    @asynccontextmanager
    async def open_unit() -> AsyncIterator[PostgresUnit]:
        async with database.transaction() as transaction:
            yield PostgresUnit(transaction)

    try:
        await keep_statement(account, lines, open_unit)
        return await compare_statement(account, first, last, open_unit)
    finally:
        await database.close()


def main() -> None:
    """Print one difference a line, as JSON; the exit code is 1 when there is one, 2 on failure."""
    parser = argparse.ArgumentParser(prog="payment.parity")
    parser.add_argument("file", type=Path, help="CSV or JSON list of the provider")
    parser.add_argument("--account", required=True)
    parser.add_argument("--from", dest="first", type=date.fromisoformat, required=True)
    parser.add_argument("--to", dest="last", type=date.fromisoformat, required=True)
    given = parser.parse_args()
    try:
        url = environment.read(Settings, os.environ).database_url
        findings = asyncio.run(
            compare(url, given.file.read_bytes(), given.account, given.first, given.last)
        )
    except (QuittanceError, OSError) as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(2)
    for finding in findings:
        sys.stdout.write(msgspec.json.encode(finding).decode() + "\n")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
