#!/usr/bin/env bash
# jsvc runs, and starts the host's Java. It then misses the class that loads daemons, which comes with each daemon.
set -u
. "$(dirname "$0")/tap.sh"
jsvc=/usr/lib/bigtop-utils/jsvc

starts_java() {
  (. /usr/lib/bigtop-utils/bigtop-detect-javahome
   "$jsvc" -debug -nodetach -java-home "$JAVA_HOME" -cp "$SMOKE_DIR" -pidfile "$SMOKE_DIR/pid" Daemon 2>&1) |
    grep 'Java VM created successfully'
}

try help "$jsvc" -help
try starts-java starts_java
finish
