#!/usr/bin/env bash
# A PostgreSQL with a database, and a home in HDFS.
set -eu
. "$(dirname "$0")/host.sh"
# Without a driver there is nothing to import from, and the test says so.
ls /usr/share/java /var/lib/sqoop | grep -q "^postgresql.*jar" || exit 0
new_postgresql
new_database "$SQOOP_DATABASE" "$SQOOP_USER" "$SQOOP_PASSWORD"
home_in_hdfs sqoop /user/sqoop
