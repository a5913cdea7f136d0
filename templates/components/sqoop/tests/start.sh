#!/usr/bin/env bash
# A PostgreSQL with a database, and a home in HDFS.
set -eu
# Without a driver there is nothing to import from, and the test says so.
ls /usr/share/java /var/lib/sqoop | grep -q "^postgresql.*jar" || exit 0
[ -e /var/lib/pgsql/data/PG_VERSION ] || postgresql-setup --initdb
echo "host all all samenet md5" >> /var/lib/pgsql/data/pg_hba.conf
echo "listen_addresses = '*'" >> /var/lib/pgsql/data/postgresql.conf
/etc/init.d/postgresql restart
runuser -u postgres -- psql -qc "CREATE ROLE $SQOOP_USER LOGIN PASSWORD '$SQOOP_PASSWORD'"
runuser -u postgres -- createdb --owner "$SQOOP_USER" "$SQOOP_DATABASE"
hdfs=$PARENT_DIR/usr/bin/hdfs
runuser -u hdfs -- "$hdfs" dfs -mkdir -p /user/sqoop
runuser -u hdfs -- "$hdfs" dfs -chown sqoop:sqoop /user/sqoop
