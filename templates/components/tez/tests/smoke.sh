#!/bin/bash
# A DAG of Tez on YARN counts words and sorts them by their number.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

folder=/tmp/smoke-tez-$$
lib=$PARENT_DIR/usr/lib/tez

as_hdfs() {
  runuser -u hdfs -- bash -c "cd / && export HADOOP_CLASSPATH='/etc/tez/conf:$lib/*:$lib/lib/*' && $1"
}

orderedwordcount() {
  printf 'three three one\nthree two two\n' > "$SMOKE_DIR/words" && chmod 0644 "$SMOKE_DIR/words"
  as_hdfs "hdfs dfs -mkdir -p $folder && hdfs dfs -put '$SMOKE_DIR/words' $folder/in &&
    yarn jar $lib/tez-examples-*.jar orderedwordcount $folder/in $folder/out" > "$SMOKE_DIR/log" 2>&1
  tail -n 5 "$SMOKE_DIR/log"
  as_hdfs "hdfs dfs -cat $folder/out/part*" > "$SMOKE_DIR/counts" 2> /dev/null
  printf 'one\t1\ntwo\t2\nthree\t3\n' | cmp - "$SMOKE_DIR/counts"
}

try orderedwordcount orderedwordcount
as_hdfs "hdfs dfs -rm -r -f -skipTrash $folder" > /dev/null 2>&1

finish
