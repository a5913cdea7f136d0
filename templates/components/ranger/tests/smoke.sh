#!/bin/bash
# Ranger Admin answers; its rules deny to a user what HDFS itself would allow, and allow what HDFS would deny. Runs on the
# host of the NameNode, with the plugin in it.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/host.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

conf=/etc/hadoop/conf/ranger-hdfs-security.xml
if [ ! -e "$conf" ]; then
  for name in admin-up hdfs-denies hdfs-allows; do
    skip "$name" 'no Ranger is set up for this host: without the JDBC driver there is none'
  done
  finish
fi
folder=/tmp/smoke-ranger-$$

url=$(property ranger.plugin.hdfs.policy.rest.url "$conf")
service=$(property ranger.plugin.hdfs.service.name "$conf")

ranger() {
  local method=$1 path=$2
  shift 2
  curl --silent --show-error --fail --max-time 60 --user "admin:$RANGER_PASSWORD" --request "$method" \
    --header 'Content-Type: application/json' "$url/service/$path" "$@"
}

hdfs_as() {
  runuser -u "$1" -- bash -c "cd / && $2"
}

# Waits until a command of HDFS succeeds (ok) or fails (not): the plugin fetches rules now and then.
becomes() {
  local wanted=$1 try
  shift
  for try in {1..12}; do
    if "$@" > "$SMOKE_DIR/out" 2>&1; then [ "$wanted" = ok ] && return 0; else [ "$wanted" = not ] && return 0; fi
    sleep 5
  done
  tail -n 3 "$SMOKE_DIR/out"
  return 1
}

admin_up() {
  ranger GET "public/v2/api/service/name/$service" | grep -o '"name":"[^"]*"' | head -n 1
}

policy() {
  printf '{"service": "%s", "name": "smoke-%s", "resources": {"path": {"values": ["%s"], "isRecursive": true}}, "%s": [{"users": ["nobody"], "accesses": [{"type": "read", "isAllowed": true}, {"type": "write", "isAllowed": true}, {"type": "execute", "isAllowed": true}]}]}' \
    "$service" "$1-$$" "$folder/$1" "$2"
}

# The database of a new Ranger knows no users of the system.
ranger POST xusers/secure/users --data '{"name": "nobody", "firstName": "nobody", "password": "Nobody2026", "userRoleList": ["ROLE_USER"], "status": 1}' > /dev/null 2>&1
hdfs_as hdfs "hdfs dfs -mkdir -p $folder/open $folder/closed && hdfs dfs -chmod 755 $folder && hdfs dfs -chmod 777 $folder/open && hdfs dfs -chmod 700 $folder/closed"

denies() {
  hdfs_as nobody "hdfs dfs -touchz $folder/open/before" && policy open denyPolicyItems > "$SMOKE_DIR/deny" &&
    ranger POST public/v2/api/policy --data "@$SMOKE_DIR/deny" > /dev/null &&
    becomes not hdfs_as nobody "hdfs dfs -touchz $folder/open/after" && grep -h 'Permission denied' "$SMOKE_DIR/out"
}

allows() {
  if hdfs_as nobody "hdfs dfs -touchz $folder/closed/before" 2> /dev/null; then return 1; fi
  policy closed policyItems > "$SMOKE_DIR/allow" &&
    ranger POST public/v2/api/policy --data "@$SMOKE_DIR/allow" > /dev/null &&
    becomes ok hdfs_as nobody "hdfs dfs -touchz $folder/closed/after"
}

try admin-up admin_up
try hdfs-denies denies
try hdfs-allows allows
for name in open closed; do
  ranger DELETE "public/v2/api/policy?servicename=$service&policyname=smoke-$name-$$" > /dev/null 2>&1
done
hdfs_as hdfs "hdfs dfs -rm -r -f -skipTrash $folder" > /dev/null 2>&1

finish
