#!/usr/bin/env bash
# What wrappers and services source: Java is found and runs, its libraries are found, jars join the class path.
set -u
tools=/usr/lib/bigtop-utils
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

javahome() {
  (. "$tools/bigtop-detect-javahome" && "$JAVA_HOME/bin/java" -version)
}

javalibs() {
  (. "$tools/bigtop-detect-javahome" && . "$tools/bigtop-detect-javalibs" && [ -e "${JAVA_NATIVE_PATH%%:*}/libjvm.so" ])
}

classpath() {
  touch "$SMOKE_DIR/smoke.jar"
  (BIGTOP_CLASSPATH_DIR=$SMOKE_DIR . "$tools/bigtop-detect-classpath" && [ "${BIGTOP_CLASSPATH##*:}" = "$SMOKE_DIR/smoke.jar" ])
}

try detect-javahome javahome
try detect-javalibs javalibs
try detect-classpath classpath
rm -f "$SMOKE_DIR/smoke.jar"
echo "1..$count"
exit "$failed"
