#!/bin/bash
# A table of PostgreSQL is imported into HDFS.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

table=smoke_$$
folder=/user/sqoop/$table

psql_() {
  PGPASSWORD=$SQOOP_PASSWORD psql --quiet --no-align --tuples-only -h "$SQOOP_HOST" -U "$SQOOP_USER" -d "$SQOOP_DATABASE" -c "$1"
}

as_sqoop() {
  runuser -u sqoop -- bash -c "cd ~ && $1"
}

import() {
  psql_ "CREATE TABLE $table (id INT PRIMARY KEY, name TEXT); INSERT INTO $table VALUES (1, 'one'), (2, 'two'), (3, 'three')" &&
    as_sqoop "sqoop import --connect jdbc:postgresql://$SQOOP_HOST/$SQOOP_DATABASE --username $SQOOP_USER --password '$SQOOP_PASSWORD' \
      --table $table --target-dir $folder -m 1" > "$SMOKE_DIR/log" 2>&1
  tail -n 5 "$SMOKE_DIR/log"
  as_sqoop "hdfs dfs -cat '$folder/part*'" 2> /dev/null | sort > "$SMOKE_DIR/rows"
  printf '1,one\n2,two\n3,three\n' | cmp - "$SMOKE_DIR/rows"
}

SQOOP_HOST=${SQOOP_HOST:-$(hostname -f)}
if ! ls /usr/share/java /var/lib/sqoop | grep -q "^postgresql.*jar"; then
  skip import 'this host has no JDBC driver of PostgreSQL'
  finish
fi
try import import
psql_ "DROP TABLE IF EXISTS $table"
as_sqoop "hdfs dfs -rm -r -f -skipTrash $folder" > /dev/null 2>&1

finish
