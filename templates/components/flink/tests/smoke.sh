#!/bin/bash
# A SQL job on YARN writes the sum of some rows into HDFS.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

folder=/user/flink/smoke-$$

as_flink() {
  runuser -u flink -- bash -c "cd ~ && export HADOOP_CONF_DIR=/etc/hadoop/conf HADOOP_CLASSPATH=\"\$(hadoop classpath)\" &&
    export FLINK_CONF_DIR=/etc/flink/conf FLINK_LOG_DIR=/var/log/flink-cli && . /usr/lib/bigtop-utils/bigtop-detect-javahome && $1"
}

sql_on_yarn() {
  cat > "$SMOKE_DIR/sum.sql" <<SQL
SET 'execution.target' = 'yarn-per-job';
SET 'execution.runtime-mode' = 'batch';
SET 'table.dml-sync' = 'true';
CREATE TABLE sums (name STRING, total INT) WITH ('connector' = 'filesystem', 'path' = 'hdfs://$folder', 'format' = 'csv');
INSERT INTO sums SELECT name, SUM(amount) FROM (VALUES ('a', 1), ('b', 5), ('a', 2)) AS rows_(name, amount) GROUP BY name;
SQL
  chmod 0644 "$SMOKE_DIR/sum.sql"
  as_flink "'$PARENT_DIR/usr/lib/flink/bin/sql-client.sh' -f '$SMOKE_DIR/sum.sql'" > "$SMOKE_DIR/log" 2>&1
  tail -n 15 "$SMOKE_DIR/log"
  as_flink "hdfs dfs -cat '$folder/*'" 2> /dev/null | sort > "$SMOKE_DIR/sums"
  printf 'a,3\nb,5\n' | cmp - "$SMOKE_DIR/sums"
}

try sql-on-yarn sql_on_yarn
as_flink "hdfs dfs -rm -r -f -skipTrash $folder" > /dev/null 2>&1

finish
