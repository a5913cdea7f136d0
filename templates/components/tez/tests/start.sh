#!/usr/bin/env bash
# The archive in HDFS, where the configuration of the package looks for it.
set -eu
hdfs=$PARENT_DIR/usr/bin/hdfs
runuser -u hdfs -- "$hdfs" dfs -mkdir -p /apps/tez
runuser -u hdfs -- "$hdfs" dfs -put -f "$PARENT_DIR/usr/lib/tez/lib/tez.tar.gz" /apps/tez/
sed -i 's,<value>\${fs.defaultFS}/apps/tez/.*</value>,<value>${fs.defaultFS}/apps/tez/tez.tar.gz</value>,' /etc/tez/conf/tez-site.xml
