#!/usr/bin/env bash
# A metastore in Derby, and HiveServer2; queries run on MapReduce, and on Tez if it is configured here.
set -eu
. "$(dirname "$0")/host.sh"
. /usr/lib/bigtop-utils/bigtop-detect-javahome
export HADOOP_HOME=$PARENT_DIR/usr/lib/hadoop
home_in_hdfs hive /user/hive
home_in_hdfs hive /user/hive/warehouse 777
home_in_hdfs hive /tmp/hive 777
set_property hive.metastore.uris thrift://localhost:9083 /etc/hive/conf/hive-site.xml
set_property hive.server2.enable.doAs false /etc/hive/conf/hive-site.xml
set_property hive.metastore.event.db.notification.api.auth false /etc/hive/conf/hive-site.xml
lib=$PARENT_DIR/usr/lib/tez
echo "export HADOOP_HEAPSIZE=512 HADOOP_CLASSPATH=/etc/tez/conf:$lib/*:$lib/lib/*:\$HADOOP_CLASSPATH" > /etc/hive/conf/hive-env.sh
runuser -u hive -- "$PARENT_DIR/usr/lib/hive/bin/schematool" -dbType derby -initSchema
/etc/init.d/hive-metastore start
/etc/init.d/hive-server2 start
await_or_log 600 /var/log/hive/hive-server2.out listens 127.0.0.1 10000
