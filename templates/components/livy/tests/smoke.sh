#!/bin/bash
# A session of Livy computes a sum on Spark.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/host.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

base=http://$(hostname -f):$(sed -n 's/^livy\.server\.port *[= ] *//p' /etc/livy/conf/livy.conf | grep . || echo 8998)

livy() {
  local path=$1
  shift
  curl --silent --show-error --fail --max-time 60 --header 'Content-Type: application/json' --header 'X-Requested-By: smoke' "$base/$path" "$@"
}

# Waits until a state is reached; ends early if it cannot be reached any more.
reaches() {
  local path=$1 wanted=$2 state
  for _ in {1..100}; do
    state=$(livy "$path" | field state)
    [ "$state" = "$wanted" ] && return 0
    case $state in error | dead | killed | cancelled) break ;; esac
    sleep 3
  done
  echo "$path: $state"
  return 1
}

session() {
  id=$(livy sessions --data '{"kind": "spark", "driverMemory": "512m", "executorMemory": "512m", "numExecutors": 1}' | field id)
  reaches "sessions/$id" idle || { livy "sessions/$id/log?size=30"; return 1; }
}

compute() {
  local statement
  statement=$(livy "sessions/$id/statements" --data '{"code": "sc.parallelize(1 to 100).sum"}' | field id)
  reaches "sessions/$id/statements/$statement" available && livy "sessions/$id/statements/$statement" | tee "$SMOKE_DIR/answer" && echo && grep -q 5050 "$SMOKE_DIR/answer"
}

id=
try session session
if [ "$failed" = 0 ]; then
  try compute compute
else
  skip compute 'there is no session'
fi
[ -z "$id" ] || livy "sessions/$id" --request DELETE > /dev/null

finish
