#!/usr/bin/env bash
# The server of this package answers, keeps what it is told, and writes it to its folder; a sentinel, if one runs here,
# knows its master.
set -u
. "$(dirname "$0")/tap.sh"
conf=/etc/redis/conf/redis.conf
key=bigtop-smoke-$$

setting() { # NAME [FILE]
  sed -n "s/^$1 *//p" "${2:-$conf}" | tr -d '"' | tail -n 1
}

port=$(setting port)
REDISCLI_AUTH=$(setting requirepass)
[ -z "$REDISCLI_AUTH" ] || export REDISCLI_AUTH

cli() {
  "$PARENT_DIR/usr/bin/redis-cli" -p "${port:-6379}" "$@"
}

ping() {
  [ "$(cli PING)" = PONG ]
}

set_get() {
  [ "$(cli SET "$key" "$STACK_VERSION" EX 600)" = OK ] && [ "$(cli GET "$key")" = "$STACK_VERSION" ]
}

ours() {
  cli INFO server | grep "executable:$PARENT_DIR/usr/lib/redis/bin/redis-server"
}

save() {
  local file
  file=$(setting dir)/$(setting dbfilename)
  [ "$(cli SAVE)" = OK ] && [ "$(stat --format %U "$file")" = redis ]
}

sentinel() {
  # It writes its configuration anew.
  "$PARENT_DIR/usr/bin/redis-cli" -p "$(setting port /etc/redis/conf/sentinel.conf)" SENTINEL masters | grep -w name &&
    grep '^sentinel myid' /etc/redis/conf/sentinel.conf
}

try ping ping
try set-get set_get
try packaged-server ours
try save save
if /etc/init.d/redis-sentinel status; then
  try sentinel sentinel
else
  skip sentinel 'none runs on this host'
fi
cli DEL "$key"
finish
