"""`make flow`: each fact, who says it, and the file in which each of its hearers acts on it."""

from checks.contracts import fact_of
from checks.files import ROOT
from shared.events import EVENTS


def lines() -> list[str]:
    """Return the flow as it is declared, with the handler found in each consumer's sources."""
    told: list[str] = []
    for event in sorted(EVENTS.values(), key=lambda event: event.TYPE):
        module = event.__module__.rsplit(".", 1)[1]
        told += [event.TYPE, f"  {fact_of(event).splitlines()[0]}", f"  from {event.PRODUCER}"]
        for consumer in event.CONSUMERS:
            name = f"services/{consumer}/src/{consumer}/handlers/on_{module}.py"
            found = name if (ROOT / name).is_file() else f"{name} IS MISSING"
            told.append(f"  to   {consumer:<15}{found}")
        told.append("")
    return told


if __name__ == "__main__":
    print("\n".join(lines()))
