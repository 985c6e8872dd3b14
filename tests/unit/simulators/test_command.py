"""The command line of the simulators."""

import socket

import pytest

from simulators.__main__ import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "SIMULATOR"),
        (["card_provider"], "--port"),
        (["card_provider", "--port", "0"], "at least one shop"),
        (["card_provider", "--port", "70000", "--site", "12345678:k"], "port"),
        (["card_provider", "--port", "0", "--site", "1:k"], "not 8 digits"),
        (["card_provider", "--port", "0", "--sites", "absent.json"], "absent.json"),
        (["card_provider", "--port", "0", "--retry-delays", "1,nan"], "nan"),
        (["card_provider", "--port", "0", "--retry-rule", "never"], "quarter_hour"),
        (["payfip"], "--port"),
        (["payfip", "--port", "0"], "at least one client"),
        (["payfip", "--port", "0", "--client", "12345:Eau"], "not 6 digits"),
        (["payfip", "--port", "0", "--client", "123456"], "labels"),
        (["payfip", "--port", "0", "--client", "123456:a:b:c:d"], "labels"),
        (["payfip", "--port", "0", "--inactive-client", "123456::b"], "labels"),
        (["payfip", "--port", "0", "--client", "123456:a", "--client", "123456:b"], "twice"),
        (["payfip", "--port", "0", "--client", "123456:a", "--settle-after", "0"], "seconds"),
        (["payfip", "--port", "0", "--client", "123456:a", "--maximum", "-1"], "cents"),
        (["france_connect", "--port", "0"], "at least one client"),
        (["france_connect", "--port", "0", "--client", "a"], "--client"),
        (["france_connect", "--port", "0", "--client", "a", "s", "b", "c"], "32 characters"),
        (["mailbox", "--http-port", "0"], "--smtp-port"),
        (["mailbox", "--http-port", "0", "--smtp-port", "0", "--keep", "0"], "--keep"),
    ],
)
def test_a_wrong_command_line_is_explained(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage and the cause, status 2, and nothing is started."""
    with pytest.raises(SystemExit) as exit_status:
        main(arguments)

    assert exit_status.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.enable_socket
def test_a_port_already_taken_is_said_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Status 1 and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        status = main(["mailbox", "--http-port", "0", "--smtp-port", port])

    written = capsys.readouterr()
    assert status == 1
    assert written.out == ""
    assert written.err.startswith("mailbox cannot start: ")
    assert written.err.count("\n") == 1
