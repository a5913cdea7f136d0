#!/usr/bin/env bash
# A metastore in Derby, and HiveServer2; queries run on MapReduce, and on Tez if it is configured here.
set -eu
. /usr/lib/bigtop-utils/bigtop-detect-javahome
export HADOOP_HOME=$PARENT_DIR/usr/lib/hadoop
hdfs=$PARENT_DIR/usr/bin/hdfs
runuser -u hdfs -- "$hdfs" dfs -mkdir -p /user/hive/warehouse /tmp/hive
runuser -u hdfs -- "$hdfs" dfs -chown -R hive:hive /user/hive /tmp/hive
runuser -u hdfs -- "$hdfs" dfs -chmod 777 /user/hive/warehouse /tmp/hive
sed -i 's,</configuration>,<property><name>hive.metastore.uris</name><value>thrift://localhost:9083</value></property>\
<property><name>hive.server2.enable.doAs</name><value>false</value></property>\
<property><name>hive.metastore.event.db.notification.api.auth</name><value>false</value></property></configuration>,' /etc/hive/conf/hive-site.xml
lib=$PARENT_DIR/usr/lib/tez
echo "export HADOOP_HEAPSIZE=512 HADOOP_CLASSPATH=/etc/tez/conf:$lib/*:$lib/lib/*:\$HADOOP_CLASSPATH" > /etc/hive/conf/hive-env.sh
runuser -u hive -- "$PARENT_DIR/usr/lib/hive/bin/schematool" -dbType derby -initSchema
/etc/init.d/hive-metastore start
/etc/init.d/hive-server2 start
for _ in {1..90}; do
  if timeout 2 bash -c 'exec 3<>/dev/tcp/localhost/10000' 2> /dev/null; then exit 0; fi
  sleep 2
done
tail -n 30 /var/log/hive/hive-server2.out >&2
exit 1
