"""A Kafka broker on 127.0.0.1: the one that librdkafka has built in for tests.

Prints its address as one line, and ends with its standard input. Arguments: topics to create,
each with librdkafka's default of 4 partitions.
"""

import sys

from confluent_kafka import Producer

# The address that bootstrap.servers would hold is replaced by that of the broker in this process.
cluster = Producer({"test.mock.num.brokers": 1, "log_level": 3})
for topic in sys.argv[1:]:
    cluster.list_topics(topic, timeout=10)

brokers = cluster.list_topics(timeout=10).brokers.values()
print(",".join(f"{broker.host}:{broker.port}" for broker in brokers), flush=True)
sys.stdin.read()
