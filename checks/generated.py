"""What `make contracts` writes is what stands in the repository."""

import difflib

from checks import contracts, topics


def problems() -> str:
    """Return the difference between the committed files and what the code says."""
    committed = topics.TARGET.read_text(encoding="utf-8") if topics.TARGET.exists() else ""
    lines = difflib.unified_diff(
        committed.splitlines(keepends=True),
        topics.render().splitlines(keepends=True),
        "committed/topics.yaml",
        "generated/topics.yaml",
    )
    found = contracts.difference() + "".join(lines)
    return found and f"{found}\nrun `make contracts` and commit the result"
