#!/bin/bash
# A table is created, filled, scanned and dropped.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

table=smoke_$$

hbase_shell() {
  printf '%s\n' "$@" | runuser -u hbase -- bash -c 'cd / && hbase shell -n' 2>&1
}

create() {
  hbase_shell "create '$table', 'f'" "exit" | tee "$SMOKE_DIR/create" | tail -n 5
  hbase_shell "puts exists('$table')" "exit" | grep -q true
}

put_scan() {
  hbase_shell "put '$table', 'a', 'f:q', 'first'" "put '$table', 'b', 'f:q', 'second'" "flush '$table'" "scan '$table'" "exit" |
    tee "$SMOKE_DIR/scan" | tail -n 8
  grep -q 'value=first' "$SMOKE_DIR/scan" && grep -q 'value=second' "$SMOKE_DIR/scan" && grep -q '^2 row' "$SMOKE_DIR/scan"
}

try create create
try put-scan put_scan
hbase_shell "disable '$table'" "drop '$table'" "exit" > /dev/null

finish
