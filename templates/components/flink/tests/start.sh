#!/usr/bin/env bash
# A home in HDFS; jobs bring their own servers to YARN.
set -eu
. "$(dirname "$0")/host.sh"
home_in_hdfs flink /user/flink
printf '%s\n' 'jobmanager.memory.process.size: 768m' 'taskmanager.memory.process.size: 1024m' >> /etc/flink/conf/flink-conf.yaml
