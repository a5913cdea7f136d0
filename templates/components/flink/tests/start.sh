#!/usr/bin/env bash
# A home in HDFS; jobs bring their own servers to YARN.
set -eu
hdfs=$PARENT_DIR/usr/bin/hdfs
runuser -u hdfs -- "$hdfs" dfs -mkdir -p /user/flink
runuser -u hdfs -- "$hdfs" dfs -chown flink:flink /user/flink
printf '%s\n' 'jobmanager.memory.process.size: 768m' 'taskmanager.memory.process.size: 1024m' >> /etc/flink/conf/flink-conf.yaml
