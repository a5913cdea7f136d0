#!/bin/bash
# A table is created, filled and joined over beeline, on Tez and on MapReduce.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/host.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

database=smoke_$$
host=$(property hive.server2.thrift.bind.host /etc/hive/conf/hive-site.xml)

# Prints the answers of SQL statements, one row a line, values separated by commas.
sql() {
  printf '%s\n' "$@" > "$SMOKE_DIR/statements.sql"
  chmod 0644 "$SMOKE_DIR/statements.sql"
  runuser -u hive -- bash -c "cd / && beeline -u 'jdbc:hive2://${host:-localhost}:10000/' -n hive --silent=true \
    --outputformat=csv2 --showHeader=false -f '$SMOKE_DIR/statements.sql'" 2> "$SMOKE_DIR/error" || {
    grep -avE '^\s+at ' "$SMOKE_DIR/error" | tail -n 20 | cut -c1-800
    return 1
  }
}

create_fill() {
  sql "CREATE DATABASE $database;" "CREATE TABLE $database.people (id INT, name STRING) STORED AS ORC;" \
    "CREATE TABLE $database.orders (person INT, amount INT) STORED AS ORC;" \
    "INSERT INTO $database.people VALUES (1, 'ann'), (2, 'bob');" \
    "INSERT INTO $database.orders VALUES (1, 10), (1, 20), (2, 5);" \
    "SELECT COUNT(*) FROM $database.orders;" | tee "$SMOKE_DIR/count"
  grep -qx 3 "$SMOKE_DIR/count"
}

join_on() {
  sql "SET hive.execution.engine=$1;" "SET hive.auto.convert.join=false;" \
    "SELECT p.name, SUM(o.amount) FROM $database.people p JOIN $database.orders o ON p.id = o.person GROUP BY p.name ORDER BY p.name;" |
    tee "$SMOKE_DIR/join"
  [ "$(grep -E '^(ann|bob),' "$SMOKE_DIR/join" | tr '\n' ' ')" = 'ann,30 bob,5 ' ]
}

try create-fill create_fill
if [ -e /etc/tez/conf/tez-site.xml ]; then
  try join-on-tez join_on tez
else
  skip join-on-tez 'this host has no Tez'
fi
try join-on-mapreduce join_on mr
sql "DROP DATABASE $database CASCADE;" > /dev/null

finish
