#!/bin/bash
# The web interface is there, and paragraphs of a note are run and their answers read.
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

# The page and every script that it names.
web_interface() {
  local script
  curl --silent --show-error --fail "${base%api}" > "$SMOKE_DIR/page" && grep -q 'scripts/vendor' "$SMOKE_DIR/page" || return 1
  for script in $(grep -oE '<script [^>]*src="?[^" >]+' "$SMOKE_DIR/page" | grep -oE '[^"=]+$'); do
    curl --silent --show-error --fail --output /dev/null "${base%api}$script" && echo "$script" || return 1
  done
}

# Runs one paragraph to its end; the call answers when it has finished.
paragraph() {
  local id
  id=$(zeppelin "notebook/$note/paragraph" --data "{\"title\": \"smoke\", \"text\": \"$1\"}" | field body) &&
    zeppelin "notebook/run/$note/$id" --data '{}' | tee "$SMOKE_DIR/answer" && grep -q '"code":"SUCCESS"' "$SMOKE_DIR/answer" && grep -q "$2" "$SMOKE_DIR/answer"
}

try up up
try web-interface web_interface
note=$(zeppelin notebook --data "{\"name\": \"smoke-$$\"}" | field body)
try paragraph-markdown paragraph '%md\nsmoke **test**' 'strong'
try paragraph-shell paragraph '%sh\necho $((6 * 7))' 42
[ -z "$note" ] || zeppelin "notebook/$note" --request DELETE > /dev/null

finish
