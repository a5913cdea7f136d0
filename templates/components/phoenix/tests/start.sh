#!/usr/bin/env bash
# HBase again, with the server part of Phoenix in its class path.
set -eu
sed -i 's,</configuration>,<property><name>hbase.regionserver.wal.codec</name><value>org.apache.hadoop.hbase.regionserver.wal.IndexedWALEditCodec</value></property></configuration>,' \
  /etc/hbase/conf/hbase-site.xml
echo "export HBASE_CLASSPATH=\$HBASE_CLASSPATH:/usr/lib/phoenix/phoenix-server.jar" >> /etc/hbase/conf/hbase-env.sh
/etc/init.d/hbase-regionserver restart
/etc/init.d/hbase-master restart
