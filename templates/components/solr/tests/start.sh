#!/usr/bin/env bash
# One server, alone.
set -eu
. "$(dirname "$0")/host.sh"
echo SOLR_HEAP=384m > /etc/default/solr
/etc/init.d/solr-server start
await_or_log 300 '/var/log/solr/*.out' answers "http://$(hostname -f):8983/solr/admin/info/system"
