"""What is signed and how, when a call is tried again, and when an endpoint leaves the lane."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from reconciliation.domain.facts import event_id
from reconciliation.domain.webhooks import (
    JITTER,
    LADDER,
    DeliveryState,
    Outcome,
    Verdict,
    after_call,
    is_struggling,
    outcome_of,
    sign,
    write_secret,
)

NOW = datetime(2026, 12, 1, 9, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
FAILURES = [outcome for outcome in Outcome if outcome is not Outcome.DELIVERED]


def test_signs_as_the_standard_webhooks_example() -> None:
    """The vector that the libraries of the specification share."""
    signed = sign(
        [KEY],
        message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        timestamp=1614265330,
        body=b'{"test": 2432232314}',
    )

    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(key=st.binary(min_size=24, max_size=64), text=st.text(max_size=200), number=st.uuids())
def test_another_library_verifies_what_is_signed(key: bytes, text: str, number: UUID) -> None:
    """Any secret of the allowed length, any body: `standardwebhooks` finds the signature good."""
    timestamp = int(datetime.now(UTC).timestamp())
    body = text.encode()
    headers = {
        "webhook-id": str(number),
        "webhook-timestamp": str(timestamp),
        "webhook-signature": sign([key], message_id=str(number), timestamp=timestamp, body=body),
    }

    Webhook(write_secret(key)).verify(body, headers, json_parse=False)
    with pytest.raises(WebhookVerificationError):
        Webhook(write_secret(key)).verify(body + b" ", headers, json_parse=False)


def test_each_living_secret_signs() -> None:
    """While two live, whoever knows one of them verifies, and whoever knows neither does not."""
    old, new, stranger = b"o" * 32, b"n" * 32, b"s" * 32
    timestamp = int(datetime.now(UTC).timestamp())
    signed = sign([new, old], message_id="m", timestamp=timestamp, body=b"{}")
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(timestamp),
        "webhook-signature": signed,
    }

    assert Webhook(write_secret(old)).verify(b"{}", headers) == {}
    assert Webhook(write_secret(new)).verify(b"{}", headers) == {}
    assert 2 == len(signed.split(" "))
    with pytest.raises(WebhookVerificationError):
        Webhook(write_secret(stranger)).verify(b"{}", headers)


def test_a_secret_is_written_as_the_specification_says() -> None:
    """`whsec_` and base64."""
    assert write_secret(KEY) == SECRET


def test_fourteen_tries_take_three_days() -> None:
    """Thirteen pauses, each longer than the one before, 72 hours in all."""
    assert 13 == len(LADDER)
    assert sum(LADDER, timedelta()) == timedelta(hours=72)
    assert sorted(LADDER) == list(LADDER)


@pytest.mark.parametrize("outcome", FAILURES)
def test_climbs_the_ladder_then_parks(outcome: Outcome) -> None:
    """Whatever the failure, the pause is the ladder's; after the fourteenth try there is none."""
    verdicts = [after_call(outcome, tries=n, now=NOW, chance=0.5) for n in range(1, 15)]

    assert verdicts[:-1] == [Verdict(DeliveryState.WAITING, NOW + pause) for pause in LADDER]
    assert verdicts[-1] == Verdict(DeliveryState.PARKED, None)


@given(tries=st.integers(1, 20), chance=st.floats(0, 1))
def test_a_success_ends_it_at_any_try(tries: int, chance: float) -> None:
    """2xx is the end."""
    verdict = after_call(Outcome.DELIVERED, tries=tries, now=NOW, chance=chance)

    assert verdict == Verdict(DeliveryState.DELIVERED, None)


@given(tries=st.integers(1, 13), chance=st.floats(0, 1))
def test_jitter_stays_within_a_tenth(tries: int, chance: float) -> None:
    """A pause is never shorter or longer than said."""
    verdict = after_call(Outcome.REFUSED, tries=tries, now=NOW, chance=chance)

    assert verdict.due_at is not None
    pause = LADDER[tries - 1]
    assert pause * (1 - JITTER) <= verdict.due_at - NOW <= pause * (1 + JITTER)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (200, Outcome.DELIVERED),
        (204, Outcome.DELIVERED),
        (299, Outcome.DELIVERED),
        (199, Outcome.REFUSED),
        (301, Outcome.REFUSED),
        (302, Outcome.REFUSED),
        (304, Outcome.REFUSED),
        (400, Outcome.REFUSED),
        (404, Outcome.REFUSED),
        (410, Outcome.GONE),
        (429, Outcome.REFUSED),
        (500, Outcome.REFUSED),
    ],
)
def test_reads_a_status(status: int, outcome: Outcome) -> None:
    """2xx is delivered, 410 ends the endpoint, a redirect is a failure like another."""
    assert outcome_of(status) is outcome


@pytest.mark.parametrize(
    ("outcome", "failures", "seconds", "expected"),
    [
        (Outcome.DELIVERED, 1, 4.9, False),
        (Outcome.DELIVERED, 1, 5.0, True),
        (Outcome.REFUSED, 1, 0.1, False),
        (Outcome.REFUSED, 2, 0.1, False),
        (Outcome.REFUSED, 3, 0.1, True),
        (Outcome.SILENT, 1, 15.0, True),
    ],
)
def test_leaves_the_lane_of_those_that_answer(
    outcome: Outcome, failures: int, seconds: float, *, expected: bool
) -> None:
    """Three failures in a row, one silence, or an answer that takes five seconds."""
    found = is_struggling(outcome, failures=failures, took=timedelta(seconds=seconds))

    assert found is expected


def test_an_event_id_never_changes() -> None:
    """A biller keeps the ids it has seen: this value is for ever."""
    fact = f"captured:{UUID(int=1)}:{UUID(int=2)}"

    assert event_id(fact) == UUID("c4d4ce72-2c99-5545-8145-3fce6307b942")
    assert event_id(fact) != event_id(fact.replace("captured", "reversed"))
