"""A town is where a browser can go."""

import pytest

from demo import ports


def test_no_run_of_ports_has_one_that_browsers_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetch standard, bad ports: 10080 is in reach, and a portal there would open nowhere."""
    everything = [
        ports.DEFAULT_BASE + number * ports.STEP + offset
        for number in range(ports.TRIES)
        for offset in range(len(ports.NAMES))
    ]
    others = frozenset(everything) - frozenset(range(10_080, 10_080 + len(ports.NAMES)))
    monkeypatch.setattr(ports, "_is_free", lambda port: port not in others)

    with pytest.raises(ports.PortError, match="no free run"):
        ports.choose()


def test_a_base_that_is_asked_for_must_open_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Said at the start, with the port."""
    monkeypatch.setattr(ports, "_is_free", lambda _port: True)
    monkeypatch.setenv("DEMO_PORT_BASE", "10080")

    with pytest.raises(ports.PortError, match="10080"):
        ports.choose()
