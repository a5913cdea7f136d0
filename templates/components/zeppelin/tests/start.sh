#!/usr/bin/env bash
# The server.
set -eu
. "$(dirname "$0")/host.sh"
cat > /etc/zeppelin/conf/zeppelin-site.xml <<'XML'
<?xml version="1.0"?>
<configuration>
  <property><name>zeppelin.server.addr</name><value>0.0.0.0</value></property>
  <property><name>zeppelin.server.port</name><value>9995</value></property>
</configuration>
XML
/etc/init.d/zeppelin start
await_or_log 300 '/var/log/zeppelin/*.out' answers "http://$(hostname -f):9995/api/version"
