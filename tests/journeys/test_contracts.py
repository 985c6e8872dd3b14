"""The billers' doors keep to their own OpenAPI documents, whatever is sent to them."""

import asyncio
import sys
from pathlib import Path

import aiohttp
import pytest

from demo.biller import Biller
from demo.town import Town

pytestmark = [pytest.mark.journey, pytest.mark.asyncio(loop_scope="module")]

BY_DESIGN = (
    # A file in a format that is not read is refused, and a line that breaks the schema costs that
    # line only: the answer is 202, and the line is rejected.
    "positive_data_acceptance",
    "negative_data_rejection",
)
EXAMPLES = 15


@pytest.mark.parametrize("service", ["ingestion", "reconciliation"])
async def test_no_request_breaks_a_door_or_its_contract(
    town: Town, service: str, tmp_path: Path
) -> None:
    """Schemathesis finds no 5xx, no undocumented answer, no door that opens without its token."""
    async with aiohttp.ClientSession() as session:
        biller = Biller(town.endpoints(), session)
        await biller.log_in()
    [scheme] = [f"{name}: {value}" for name, value in biller.headers.items()]

    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "schemathesis"),
        "run",
        f"{town.url(service)}/openapi.json",
        *("--header", scheme),
        *("--max-examples", str(EXAMPLES)),
        *("--exclude-checks", ",".join(BY_DESIGN)),
        *("--seed", "20261124"),
        "--no-color",
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()

    assert process.returncode == 0, output.decode()[-8000:]
