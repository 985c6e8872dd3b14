"""From where something was done: words that people recognise, and nothing that was sent."""

import pytest

from gateway.api.facts import browser_of

MOZILLA = "Mozilla/5.0"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "said"),
    [
        (f"{MOZILLA} (Windows NT 10.0; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Windows"),
        (f"{MOZILLA} (X11; Linux x86_64) {WEBKIT} Chrome/140.0 Safari/537.36", "Chrome, Linux"),
        (
            f"{MOZILLA} (Windows NT 10.0) {WEBKIT} Chrome/140.0 Safari/537.36 Edg/140.0",
            "Edge, Windows",
        ),
        (
            f"{MOZILLA} (Linux; Android 15) {WEBKIT} SamsungBrowser/28.0 Chrome/130.0 Safari/537",
            "Samsung Internet, Android",
        ),
        (
            f"{MOZILLA} (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1",
            "Safari, iPhone",
        ),
        (f"{MOZILLA} (iPad; CPU OS 18_0 like Mac OS X) CriOS/140.0 Safari/604.1", "Chrome, iPad"),
        (f"{MOZILLA} (Macintosh; Intel Mac OS X 14_0) Version/18.0 Safari/605.1", "Safari, macOS"),
        ("Python/3.11 aiohttp/3.14.5", ""),
        ("", ""),
        ("<script>alert(1)</script>", ""),
        ("Firefox/1 \x1b[31m Windows", "Firefox, Windows"),
    ],
)
def test_a_browser_is_named_in_words_and_never_copied(user_agent: str, said: str) -> None:
    """S22: what a stranger sends as its name reaches no page and no letter."""
    assert browser_of(user_agent) == said
