#!/usr/bin/env bash
# A node is written through one server, read through each of them, and deleted, with the client of this host.
set -u
. "$(dirname "$0")/tap.sh"
conf=/etc/zookeeper/conf/zoo.cfg
node=/bigtop-smoke-$$
port=$(sed -n 's/^clientPort=//p' "$conf")
servers=$(sed -n 's/^server\.[0-9]*=\([^:]*\):.*/\1/p' "$conf")

client() { # SERVER COMMAND...
  local server=$1:${port:-2181}
  shift
  timeout 60 "$PARENT_DIR/usr/bin/zookeeper-client" -server "$server" "$@" 2>&1
}

create() {
  # Servers that have just started may not have a leader yet.
  local attempt
  for attempt in 1 2 3 4 5; do
    client "$first" create "$node" from-the-smoke-test | grep "Created $node" && return
    sleep 3
  done
  return 1
}

get() {
  local server
  for server in ${servers:-localhost}; do
    client "$server" get "$node" | grep -x from-the-smoke-test || return
  done
}

delete() {
  client "$first" delete "$node"
  client "$first" get "$node" | grep -iE 'no ?node|does not exist'
}

read -r first _ <<< "$(echo ${servers:-localhost})"
try put create
try get get
try delete delete
finish
