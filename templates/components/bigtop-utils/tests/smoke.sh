#!/usr/bin/env bash
# What wrappers and services source: Java is found and runs, its libraries are found, jars join the class path.
set -u
. "$(dirname "$0")/tap.sh"
tools=/usr/lib/bigtop-utils

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
finish
