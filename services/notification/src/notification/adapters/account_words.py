"""What letters about an account say, in French and in English.

Each kind is one template of each language, which names its subject, its text, its button and what
to do if it was not the reader; two layouts make a mail of them. Texts that came with the event are
values and never templates, and are escaped in HTML.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from jinja2 import Environment

from notification.adapters.french import french_instant
from notification.adapters.mime import Words
from notification.domain import AccountNews, one_line
from notification.ports import UnwritableError
from shared.clock import PARIS

SENDER_NAME = "Quittance"
PAGES = {
    "password-changed": "/compte/securite",
    "factor-changed": "/compte/securite",
    "new-device": "/compte/securite",
    "link-added": "/factures",
    "account-closed": "/",
}
"""Where the button leads when the event brought no link of its own."""


def account_words(
    environment: Environment, news: AccountNews, public_url: str, sender_name: str
) -> Words:
    """Return what a letter about an account says.

    Raises:
        UnwritableError: its link leads elsewhere than to the portal: whoever reads this mail is
            told that its links do not.
    """
    page = PAGES.get(news.about)
    link = news.link or (f"{public_url}{page}" if page else None)
    if link is not None and not link.startswith(f"{public_url}/"):
        message = "the link of a letter is not of the portal"
        raise UnwritableError(message)
    language = news.language if news.language in {"fr", "en"} else "fr"
    folder = f"account/{language}"
    template = environment.get_template(f"{folder}/{news.about}.txt")
    content: Any = template.make_module({"link": link, "details": news.details})
    words: Any = environment.get_template(f"{folder}/words.txt").module
    subject = one_line(str(content.subject))
    view = {
        "language": language,
        "content": content,
        "words": words,
        "subject": subject,
        "link": link,
        "code": news.code,
        # Only of a link that was sent for this: pages of the portal do not expire.
        "expires": _instant(news.expires_at, language) if news.expires_at and news.link else None,
        "facts": [
            (label, _shown(words.terms.get(name, {}), news.details[name], language))
            for name, label in words.labels.items()
            if news.details.get(name)
        ],
    }
    return Words(
        sender_name=sender_name or SENDER_NAME,
        subject=subject,
        text=environment.get_template("account/layout.txt").render(view),
        html=environment.get_template("account/layout.html").render(view),
        language=language,
    )


def _shown(terms: Mapping[str, str], value: str, language: str) -> str:
    """Return a value as it came, but for what has a term, and an instant, on the clock of Paris."""
    if value in terms:
        return terms[value]
    try:
        instant = datetime.fromisoformat(value)
    except ValueError:
        return value
    return value if instant.tzinfo is None else _instant(instant, language)


def _instant(instant: datetime, language: str) -> str:
    if language == "fr":
        return french_instant(instant)
    # Not by the process's own locale: months are English wherever this runs.
    local = instant.astimezone(PARIS)
    return f"{local.day}\u00a0{ENGLISH_MONTHS[local.month - 1]}\u00a0{local.year} at {local:%H:%M}"


ENGLISH_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
