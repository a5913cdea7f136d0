#!/usr/bin/env bash
# One server, alone.
set -eu
echo SOLR_HEAP=384m > /etc/default/solr
/etc/init.d/solr-server start
for _ in {1..60}; do
  if curl --silent --fail --output /dev/null "http://$(hostname -f):8983/solr/admin/info/system"; then exit 0; fi
  sleep 2
done
tail -n 30 /var/log/solr/*.out >&2
exit 1
