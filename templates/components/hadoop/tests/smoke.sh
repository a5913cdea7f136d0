#!/bin/bash
# A file goes into HDFS and comes back the same; MapReduce computes pi on YARN.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

folder=/tmp/smoke-hadoop-$$

as_hdfs() {
  runuser -u hdfs -- bash -c "cd / && $1"
}

put_get() {
  head -c 3000000 /dev/urandom > "$SMOKE_DIR/put" && chmod 0644 "$SMOKE_DIR/put"
  as_hdfs "hdfs dfs -mkdir -p $folder && hdfs dfs -put '$SMOKE_DIR/put' $folder/file && hdfs dfs -cat $folder/file" > "$SMOKE_DIR/get" &&
    cmp "$SMOKE_DIR/put" "$SMOKE_DIR/get" && as_hdfs "hdfs fsck $folder" | grep -E 'Status: HEALTHY|Average block replication'
}

pi() {
  as_hdfs "yarn jar $PARENT_DIR/usr/lib/hadoop-mapreduce/hadoop-mapreduce-examples.jar pi 2 10" > "$SMOKE_DIR/pi" 2>&1
  tail -n 5 "$SMOKE_DIR/pi"
  grep -q 'Estimated value of Pi is 3' "$SMOKE_DIR/pi"
}

try put-get put_get
try pi pi
as_hdfs "hdfs dfs -rm -r -f -skipTrash $folder" > /dev/null 2>&1

finish
