#!/usr/bin/env bash
# HBase again, with the server part of Phoenix in its class path.
set -eu
. "$(dirname "$0")/host.sh"
codec=org.apache.hadoop.hbase.regionserver.wal.IndexedWALEditCodec
set_property hbase.regionserver.wal.codec "$codec" /etc/hbase/conf/hbase-site.xml
echo "export HBASE_CLASSPATH=\$HBASE_CLASSPATH:/usr/lib/phoenix/phoenix-server.jar" >> /etc/hbase/conf/hbase-env.sh
/etc/init.d/hbase-regionserver restart
/etc/init.d/hbase-master restart
