"""What a browser hands over is taken with suspicion."""

import msgspec
import pytest

from notification.domain import Subscription, UnusableSubscriptionError, device_of
from shared.addresses import Rule
from tests.unit.notification.notification_builders import NOW, a_device

RULE = Rule(allowed_hosts=("fcm.googleapis.com", ".push.apple.com"))
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
GOOD = Subscription(
    endpoint="https://fcm.googleapis.com/fcm/send/abc", p256dh=POINT, auth=AUTH, label="Firefox"
)


def test_takes_what_a_browser_gives() -> None:
    """The example of RFC 8291, appendix A; padding makes no difference."""
    padded = msgspec.structs.replace(GOOD, p256dh=POINT + "=", auth=AUTH + "==")

    device = device_of(a_device().name, GOOD, RULE, NOW)

    assert device == device_of(a_device().name, padded, RULE, NOW)
    assert (device.host, len(device.p256dh), len(device.auth)) == ("fcm.googleapis.com", 65, 16)


def test_a_list_may_name_all_hosts_below_one() -> None:
    """Apple's push service has many."""
    apple = msgspec.structs.replace(GOOD, endpoint="https://web.push.apple.com/QE")

    assert device_of(a_device().name, apple, RULE, NOW).host == "web.push.apple.com"


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"endpoint": "http://fcm.googleapis.com/x"}, "/endpoint"),
        ({"endpoint": "https://push.attaquant.example/x"}, "/endpoint"),
        ({"endpoint": "https://push.apple.com/x"}, "/endpoint"),
        ({"endpoint": "https://fcm.googleapis.com.attaquant.example/x"}, "/endpoint"),
        ({"endpoint": "https://fcm.googleapis.com@169.254.169.254/x"}, "/endpoint"),
        ({"endpoint": "https://127.0.0.1/x"}, "/endpoint"),
        ({"endpoint": "https://fcm.googleapis.com:22/x"}, "/endpoint"),
        ({"endpoint": "https://fcm.googleapis.com/" + "x" * 1000}, "/endpoint"),
        ({"endpoint": "javascript:alert(1)"}, "/endpoint"),
        ({"p256dh": "AAAA"}, "/p256dh"),
        ({"p256dh": "BA" + "A" * 85}, "/p256dh"),
        ({"p256dh": "é"}, "/p256dh"),
        ({"auth": "AAAA"}, "/auth"),
        ({"auth": "not base64!"}, "/auth"),
        ({"language": "de"}, "/language"),
    ],
)
def test_refuses_what_could_never_be_pushed_to(changes: dict[str, str], pointer: str) -> None:
    """S18: only the push services listed, over https; RFC 8291: a point of P-256 and 16 bytes."""
    with pytest.raises(UnusableSubscriptionError) as refused:
        device_of(a_device().name, msgspec.structs.replace(GOOD, **changes), RULE, NOW)

    assert pointer == refused.value.pointer


def test_a_label_is_one_short_line() -> None:
    """It comes from a browser and is shown to people."""
    odd = msgspec.structs.replace(GOOD, label="Firefox\r\nSet-Cookie: x\u202e" + "x" * 200)

    label = device_of(a_device().name, odd, RULE, NOW).label

    assert label.startswith("Firefox Set-Cookie: x x")
    assert len(label) == 100
