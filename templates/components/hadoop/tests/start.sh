#!/usr/bin/env bash
# All servers on this host, with the configuration of hadoop-conf-pseudo.
set -eu
. "$(dirname "$0")/host.sh"
runuser -u hdfs -- "$PARENT_DIR/usr/bin/hdfs" namenode -format -nonInteractive
/etc/init.d/hadoop-hdfs-namenode start
/etc/init.d/hadoop-hdfs-datanode start
await 300 listens 127.0.0.1 8020
runuser -u hdfs -- timeout 300 "$PARENT_DIR/usr/bin/hdfs" dfsadmin -safemode wait
"$PARENT_DIR/usr/lib/hadoop/libexec/init-hdfs.sh"
# A disk that is nearly full makes a NodeManager unhealthy, and jobs wait for ever.
disks=yarn.nodemanager.disk-health-checker.max-disk-utilization-per-disk-percentage
set_property "$disks" 99.5 /etc/hadoop/conf/yarn-site.xml
for service in yarn-resourcemanager yarn-nodemanager mapreduce-historyserver; do
  "/etc/init.d/hadoop-$service" start
done
