#!/usr/bin/env bash
# One broker.
set -eu
echo 'export KAFKA_HEAP_OPTS="-Xmx384m"' >> "$PARENT_DIR/etc/default/kafka"
/etc/init.d/kafka-server start
