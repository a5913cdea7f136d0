#!/usr/bin/env bash
# A master and a region server on the HDFS and the ZooKeeper of this host.
set -eu
. "$(dirname "$0")/host.sh"
home_in_hdfs hbase /hbase
cat > /etc/hbase/conf/hbase-site.xml <<'XML'
<?xml version="1.0"?>
<configuration>
  <property><name>hbase.rootdir</name><value>hdfs://localhost:8020/hbase</value></property>
  <property><name>hbase.cluster.distributed</name><value>true</value></property>
  <property><name>hbase.zookeeper.quorum</name><value>localhost</value></property>
</configuration>
XML
echo 'export HBASE_HEAPSIZE=384m HBASE_MANAGES_ZK=false' >> /etc/hbase/conf/hbase-env.sh
/etc/init.d/hbase-master start
/etc/init.d/hbase-regionserver start
