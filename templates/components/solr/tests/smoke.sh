#!/bin/bash
# A collection is created, a document indexed and found.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

collection=smoke$$
base=http://$(hostname -f):8983/solr
solr=$PARENT_DIR/usr/lib/solr

get() {
  curl --silent --show-error --fail --max-time 180 --get "$@"
}

# A server alone has cores, one with ZooKeeper has collections.
create() {
  runuser -u solr -- bash -c "cd / && . /usr/lib/bigtop-utils/bigtop-detect-javahome && '$solr/bin/solr' create -c $collection"
}

index_query() {
  curl --silent --show-error --fail --max-time 60 --header 'Content-Type: application/json' \
    --data '[{"id": "1", "title_s": "elephant"}, {"id": "2", "title_s": "bee"}]' "$base/$collection/update?commit=true" &&
    get "$base/$collection/select" --data-urlencode 'q=title_s:elephant' | tee "$SMOKE_DIR/found" && echo && grep -q '"numFound":1' "$SMOKE_DIR/found"
}

try create-collection create
try index-query index_query
runuser -u solr -- bash -c "cd / && . /usr/lib/bigtop-utils/bigtop-detect-javahome && '$solr/bin/solr' delete -c $collection" > /dev/null 2>&1

finish
