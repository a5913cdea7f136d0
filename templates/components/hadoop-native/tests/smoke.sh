#!/usr/bin/env bash
# Java loads the libraries and what they load, C programs find those of HDFS, and the container executor runs.
set -u
. "$(dirname "$0")/tap.sh"
native=$PARENT_DIR/usr/lib/hadoop/lib/native

loads() { # LIBRARY
  grep -E "^$1 *: +true" "$SMOKE_DIR/checknative"
}

complete() { # FILE...: everything that they are linked to is on this host, but for Java's own library
  local file
  for file in "$@"; do
    ldd "$file" > "$SMOKE_DIR/linked" || return 1
    grep 'not found' "$SMOKE_DIR/linked" | grep -v libjvm.so && return 1
  done
  return 0
}

executor() {
  # Without a configuration it says so, which it must have started for.
  "$PARENT_DIR/usr/lib/hadoop-yarn/bin/container-executor" --checksetup 2>&1 | grep -iE 'config|cfg|usage'
}

checked() {
  "$PARENT_DIR/usr/bin/hadoop" checknative > "$SMOKE_DIR/checknative" 2>&1
  cat "$SMOKE_DIR/checknative"
  loads hadoop
}

try libhadoop checked
for library in zlib zstd bzip2 openssl; do
  try "$library" loads "$library"
done
try linked complete "$native"/*.so "$PARENT_DIR"/usr/lib64/*.so
fuse=$PARENT_DIR/usr/lib/hadoop/bin/fuse_dfs
if [ -e "$fuse" ]; then
  try fuse complete "$fuse"
else
  skip fuse 'fuse_dfs is not installed here'
fi
try container-executor executor
finish
