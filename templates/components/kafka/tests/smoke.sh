#!/bin/bash
# A topic is created, three messages are produced and consumed.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

topic=smoke-$$
tools=$PARENT_DIR/usr/lib/kafka/bin
server=$(sed -n 's,^listeners=[A-Z_]*://,,p' /etc/kafka/conf/server.properties | cut -d , -f 1)
case ${server:-:} in
  :*) server=localhost${server:-:9092} ;;
esac
. /usr/lib/bigtop-utils/bigtop-detect-javahome
export LOG_DIR=$SMOKE_DIR KAFKA_HEAP_OPTS=-Xmx256m

create_topic() {
  "$tools/kafka-topics.sh" --bootstrap-server "$server" --create --topic "$topic" --partitions 2 --replication-factor 1
}

produce_consume() {
  printf 'one\ntwo\nthree\n' | "$tools/kafka-console-producer.sh" --bootstrap-server "$server" --topic "$topic" &&
    "$tools/kafka-console-consumer.sh" --bootstrap-server "$server" --topic "$topic" --from-beginning \
      --max-messages 3 --timeout-ms 60000 > "$SMOKE_DIR/messages"
  sort "$SMOKE_DIR/messages"
  [ "$(sort "$SMOKE_DIR/messages" | tr '\n' ' ')" = 'one three two ' ]
}

try create-topic create_topic
try produce-consume produce_consume
"$tools/kafka-topics.sh" --bootstrap-server "$server" --delete --topic "$topic"

finish
