#!/usr/bin/env bash
# jsvc runs, and starts the host's Java. It then misses the class that loads daemons, which comes with each daemon.
set -u
jsvc=/usr/lib/bigtop-utils/jsvc
count=0 failed=0

try() { # NAME COMMAND...: one test
  local name=$1
  shift
  count=$((count + 1))
  if "$@"; then
    echo "ok $count - $name"
  else
    echo "not ok $count - $name"
    failed=1
  fi
}

starts_java() {
  (. /usr/lib/bigtop-utils/bigtop-detect-javahome
   "$jsvc" -debug -nodetach -java-home "$JAVA_HOME" -cp "$SMOKE_DIR" -pidfile "$SMOKE_DIR/pid" Daemon 2>&1) |
    grep 'Java VM created successfully'
}

try help "$jsvc" -help
try starts-java starts_java
echo "1..$count"
exit "$failed"
