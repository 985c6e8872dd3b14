"""PayFiP's form: the way there, and a return that anybody could have written."""

from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from payment.adapters.tipi import TipiAccount
from payment.ports import MalformedNoticeError, Nudge, ProviderRefusedError, Question
from tests.unit.payment.provider_builders import (
    CALLS,
    DEBT,
    NOTIFY_URL,
    NOW,
    NUMCLI,
    ORDER_ID,
    a_clock,
    a_debt,
    a_raw,
    a_tipi_contract,
    done,
)


def an_account(**changes: object) -> TipiAccount:
    """Return a client number, ready to speak."""
    return TipiAccount(a_tipi_contract(**changes), NOTIFY_URL, CALLS, a_clock())


def a_return(**changes: str) -> bytes:
    """Return what the form sends when the payer is done."""
    fields = {
        "numcli": NUMCLI,
        "exer": "2026",
        "refdet": DEBT,
        "objet": f"{ORDER_ID} Eau et assainissement",
        "montant": "4100",
        "mel": "camille.martin@exemple.test",
        "saisie": "T",
        "resultrans": "P",
        "numauto": "112233",
        "dattrans": "24112026",
        "heurtrans": "1407",
    }
    return urlencode(fields | changes).encode()


def test_the_way_names_the_debt_and_the_sum() -> None:
    """Both are looked up at the treasury; the order stands in the object, which comes back."""
    handover = done(an_account().prepare(a_debt(subject="Eau & assainissement : été")))

    url = urlsplit(handover.form.url)
    expected = {
        "numcli": [NUMCLI],
        "exer": ["2026"],
        "refdet": [DEBT],
        "objet": [f"{ORDER_ID} Eau assainissement ete"],
        "montant": ["4100"],
        "mel": ["camille.martin@exemple.test"],
        "saisie": ["T"],
        "urlcl": [NOTIFY_URL],
    }
    assert expected == parse_qs(url.query)
    assert "https://www.payfip.gouv.fr/tpa/paiement.web" == url._replace(query="").geturl()
    assert ("GET", {}) == (handover.form.method, handover.form.fields)
    assert (NOW.date(), ORDER_ID, ORDER_ID) == (
        handover.provider_day,
        handover.provider_number,
        handover.reference,
    )


def test_the_way_goes_where_the_account_says() -> None:
    """A simulator differs by it."""
    account = an_account(service_url="http://127.0.0.1:9/tpa/paiement.web")

    assert done(account.prepare(a_debt())).form.url.startswith(
        "http://127.0.0.1:9/tpa/paiement.web?numcli="
    )


def test_an_object_is_not_longer_than_payfip_takes() -> None:
    """100 characters; the order comes first and is never cut."""
    handover = done(an_account().prepare(a_debt(subject="abcdefghi " * 20)))

    [subject] = parse_qs(urlsplit(handover.form.url).query)["objet"]
    assert 100 == len(subject)
    assert subject.startswith(f"{ORDER_ID} abcdefghi ")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"debt_reference": None}, "R3"),
        ({"debt_reference": "ABCDE"}, "R3"),
        ({"debt_reference": "2026-0042"}, "R3"),
        ({"debt_reference": "A" * 31}, "R3"),
        ({"fiscal_year": None}, "R3"),
        ({"email": None}, "A2"),
        ({"email": "a@b.c"}, "A2"),
        ({"email": "a" * 80 + "@b"}, "A2"),
    ],
)
def test_refuses_what_payfip_would_refuse(changes: dict[str, object], code: str) -> None:
    """Before the payer is sent there, with a sentence in French."""
    with pytest.raises(ProviderRefusedError) as refused:
        done(an_account().prepare(a_debt(**changes)))

    assert code == refused.value.code
    assert refused.value.detail.endswith(".")


@pytest.mark.parametrize("result", ["P", "R", "A", "?"])
def test_a_return_is_a_hint_whatever_it_tells(result: str) -> None:
    """D4: nothing of it is signed, so it never says that money was taken, nor that it was not."""
    body = a_return(resultrans=result)

    assert Nudge(reference=ORDER_ID) == an_account().read_notice(a_raw(body))
    assert Nudge(reference=ORDER_ID) == an_account().read_notice(a_raw(query=body.decode()))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"refdet=2026TITRE00042&resultrans=P",
        a_return(objet="Cantine"),
        a_return(objet=ORDER_ID.lower()),
        a_return(objet=f"x{ORDER_ID}"),
        a_return() + f"&objet={ORDER_ID}".encode(),
    ],
)
def test_refuses_a_return_that_names_no_attempt(body: bytes) -> None:
    """Anybody may post here."""
    with pytest.raises(MalformedNoticeError):
        an_account().read_notice(a_raw(body))


def test_there_is_nobody_to_ask() -> None:
    """The accountant's return file says what was paid."""
    question = Question(
        order_id=ORDER_ID, reference=ORDER_ID, amount_cents=41_00, started_at=NOW, asked_count=0
    )

    assert done(an_account().ask(question)) is None
    rules = an_account().rules
    assert (False, True, False) == (rules.can_be_asked, rules.needs_email, rules.takes_several)
    assert frozenset({"treasury"}) == rules.routes
    assert (1_00, 9_999_99) == (rules.minimum_cents, rules.maximum_cents)
