#!/bin/bash
# A table of Phoenix on HBase takes upserts and answers SQL.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/host.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

table=SMOKE_$$
. /usr/lib/bigtop-utils/bigtop-detect-javahome
export PATH=$JAVA_HOME/bin:$PATH
quorum=$(property hbase.zookeeper.quorum /etc/hbase/conf/hbase-site.xml)

# What psql.py calls: the script itself needs a Python before 3.13.
sql() {
  printf '%s\n' "$@" > "$SMOKE_DIR/$table.sql"
  timeout 300 java -cp /etc/hbase/conf:/etc/hadoop/conf:/usr/lib/phoenix/phoenix-client.jar org.apache.phoenix.util.PhoenixRuntime "${quorum:-localhost}" "$SMOKE_DIR/$table.sql" 2>&1
}

upsert_select() {
  sql "CREATE TABLE $table (id INTEGER PRIMARY KEY, name VARCHAR, amount INTEGER);" \
    "UPSERT INTO $table VALUES (1, 'a', 1);" "UPSERT INTO $table VALUES (2, 'b', 5);" "UPSERT INTO $table VALUES (3, 'a', 2);" \
    "SELECT name, SUM(amount) AS total FROM $table GROUP BY name;" > "$SMOKE_DIR/said"
  tail -n 12 "$SMOKE_DIR/said"
  grep -qE '^a +3' "$SMOKE_DIR/said" && grep -qE '^b +5' "$SMOKE_DIR/said"
}

index() {
  sql "CREATE INDEX ${table}_BY_NAME ON $table (name) INCLUDE (amount);" "EXPLAIN SELECT amount FROM $table WHERE name = 'b';" \
    "SELECT amount FROM $table WHERE name = 'b';" > "$SMOKE_DIR/index"
  tail -n 12 "$SMOKE_DIR/index"
  grep -q "${table}_BY_NAME" "$SMOKE_DIR/index" && grep -qE '^ *5 *$' "$SMOKE_DIR/index"
}

try upsert-select upsert_select
try index index
sql "DROP TABLE $table;" > /dev/null

finish
