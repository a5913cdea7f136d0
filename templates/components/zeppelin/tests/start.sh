#!/usr/bin/env bash
# The server.
set -eu
cat > /etc/zeppelin/conf/zeppelin-site.xml <<'XML'
<?xml version="1.0"?>
<configuration>
  <property><name>zeppelin.server.addr</name><value>0.0.0.0</value></property>
  <property><name>zeppelin.server.port</name><value>9995</value></property>
</configuration>
XML
/etc/init.d/zeppelin start
for _ in {1..90}; do
  if curl --silent --fail --output /dev/null "http://$(hostname -f):9995/api/version"; then exit 0; fi
  sleep 2
done
tail -n 30 /var/log/zeppelin/*.out >&2
exit 1
