"""Every metric of every service, in one closed list: name, labels, meaning, unit."""

from prometheus_client import Counter, Gauge, Histogram

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

MESSAGES_HANDLED = Counter(
    "quittance_messages_handled_total",
    "Events whose effect was committed, by type.",
    ["type"],
)
MESSAGES_REPEATED = Counter(
    "quittance_messages_repeated_total",
    "Events met again and left alone, by type.",
    ["type"],
)
MESSAGES_BURIED = Counter(
    "quittance_messages_buried_total",
    "Records sent to the dead-letter topic, by topic and reason slug.",
    ["topic", "reason"],
)
BATCH_SECONDS = Histogram(
    "quittance_batch_seconds",
    "Time to handle the records of one poll, in seconds.",
    buckets=_SECONDS,
)
OUTBOX_SENT = Counter(
    "quittance_outbox_sent_total",
    "Events acknowledged by the broker, by type.",
    ["type"],
)
OUTBOX_OLDEST_SECONDS = Gauge(
    "quittance_outbox_oldest_seconds",
    "Age of the oldest event not yet acknowledged by the broker, in seconds.",
)
WORK_DONE = Counter(
    "quittance_work_done_total",
    "Tasks finished by the workers, by kind and outcome.",
    ["kind", "outcome"],
)
PEOPLE_QUEUE = Gauge(
    "quittance_people_queue",
    "Items that only a person can clear up, by kind.",
    ["kind"],
)
WEBHOOK_OLDEST_SECONDS = Gauge(
    "quittance_webhook_oldest_seconds",
    "Age of the oldest event that waits to be told to a biller's living address, in seconds.",
)
SECURITY_ALARMS = Counter(
    "quittance_security_alarms_total",
    "Quarters of an hour in which too many logins failed or too much was guessed, by kind.",
    ["kind"],
)
HTTP_SECONDS = Histogram(
    "quittance_http_seconds",
    "Time to answer a request, in seconds, by method, route and status.",
    ["method", "route", "status"],
    buckets=_SECONDS,
)
FLOW_SECONDS = Histogram(
    "quittance_flow_seconds",
    "Delay between two steps of an invoice, in seconds, by step and authority.",
    ["step", "authority"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600, 86400),
)
COLLECTED_CENTS = Gauge(
    "quittance_collected_cents",
    "Money collected on a civil day in France, in cents, by authority, régie and day.",
    ["authority", "regie", "day"],
)
