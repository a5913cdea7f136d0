#!/bin/bash
# A paragraph of a note is run and its answer read.
set -u
. "$(dirname "$0")/tap.sh"
. "$(dirname "$0")/host.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

port=$(property zeppelin.server.port /etc/zeppelin/conf/zeppelin-site.xml)
base=http://$(hostname -f):${port:-8080}/api

zeppelin() {
  local path=$1
  shift
  curl --silent --show-error --fail --max-time 300 --header 'Content-Type: application/json' "$base/$path" "$@"
}

up() {
  zeppelin version
}

# Runs one paragraph to its end; the call answers when it has finished.
paragraph() {
  local id
  id=$(zeppelin "notebook/$note/paragraph" --data "{\"title\": \"smoke\", \"text\": \"$1\"}" | field body) &&
    zeppelin "notebook/run/$note/$id" --data '{}' | tee "$SMOKE_DIR/answer" && echo && grep -q '"code":"SUCCESS"' "$SMOKE_DIR/answer" && grep -q "$2" "$SMOKE_DIR/answer"
}

try up up
note=$(zeppelin notebook --data "{\"name\": \"smoke-$$\"}" | field body)
try paragraph-markdown paragraph '%md\nsmoke **test**' 'strong'
try paragraph-shell paragraph '%sh\necho $((6 * 7))' 42
[ -z "$note" ] || zeppelin "notebook/$note" --request DELETE > /dev/null

finish
