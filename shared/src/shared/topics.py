"""The topics: declared by us, rewound for a replay, forgotten with a rebuildable view."""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared.environment import CommonSettings
from shared.events import EVENTS
from shared.kafka import BrokerUnavailableError, connection_options, dead_letter_topic

SERVICES = ("ingestion", "publication", "payment", "reconciliation", "notification", "gateway")


async def ping(settings: CommonSettings) -> None:
    """Return when a broker answers.

    Raises:
        BrokerUnavailableError: none does.
    """
    admin = AIOKafkaAdminClient(**connection_options(settings), request_timeout_ms=3000)
    try:
        await admin.start()
        await admin.list_topics()
    except (KafkaError, OSError) as error:
        raise BrokerUnavailableError(str(error)) from error
    finally:
        await admin.close()


async def forget_topics(settings: CommonSettings, topics: Sequence[str]) -> None:
    """Delete topics that a rebuildable view keeps for itself; one that is not there is fine."""
    admin = AIOKafkaAdminClient(**connection_options(settings))
    await admin.start()
    try:
        existing = [topic for topic in topics if topic in await admin.list_topics()]
        if existing:
            await admin.delete_topics(existing)
    finally:
        await admin.close()


async def rewind(
    settings: CommonSettings, group: str, topics: Sequence[str]
) -> dict[TopicPartition, int]:
    """Set a group without members back to the first records; return where the topics end.

    Raises:
        BrokerUnavailableError: the group has members, or the broker refuses.
    """
    options = connection_options(settings)
    admin = AIOKafkaAdminClient(**options)
    # Assigned by hand: joining the group would meet the protocol of its own members.
    consumer = AIOKafkaConsumer(**options, group_id=group, enable_auto_commit=False)
    try:
        await admin.start()
        described = await admin.describe_topics(list(topics))
        partitions = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in described
            for partition in topic["partitions"]
        ]
        await consumer.start()
        consumer.assign(partitions)
        await consumer.commit(await consumer.beginning_offsets(partitions))
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
    except KafkaError as error:
        raise BrokerUnavailableError(str(error)) from error
    else:
        return ends
    finally:
        await consumer.stop()
        await admin.close()


async def declare_topics(
    settings: CommonSettings, *, partitions: int, replication: int, foreign: Sequence[str] = ()
) -> None:
    """Create the topics of every event, the dead-letter topics and those that others write to.

    Topics that exist are left as they are.
    """
    names = sorted({event.TOPIC for event in EVENTS.values()})
    topics = [NewTopic(name, partitions, replication) for name in names]
    topics += [NewTopic(dead_letter_topic(service), 1, replication) for service in SERVICES]
    topics += [NewTopic(name, 1, replication) for name in foreign]
    admin = AIOKafkaAdminClient(**connection_options(settings))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        for topic in topics:
            if topic.name in existing:
                continue
            try:
                answer = await admin.create_topics([topic])
                _raise_for(answer)
            except TopicAlreadyExistsError:
                # Another process declared it in between: the result is what was wanted.
                continue
    finally:
        await admin.close()


def _raise_for(answer: Any) -> None:  # noqa: ANN401 - aiokafka's answers carry no types
    for error in getattr(answer, "topic_errors", getattr(answer, "topic_error_codes", ())):
        code = error[1]
        if code not in (0, 36):
            message = f"topic {error[0]} was not created: error {code}"
            raise KafkaError(message)
