#!/usr/bin/env bash
# distro-select and conf-select run with the host's Python and know the version that is installed.
set -u
. "$(dirname "$0")/tap.sh"
tools=/usr/lib/bigtop-select

versions() {
  "$tools/distro-select" versions | grep -Fx "$STACK_VERSION"
}

packages() {
  "$tools/distro-select" packages | grep -w zookeeper-server
}

status() {
  "$tools/distro-select" status zookeeper-server | grep '^zookeeper-server - '
}

unknown() {
  ! "$tools/distro-select" set no-such-package "$STACK_VERSION"
}

conf_select() {
  "$tools/conf-select" --help | grep -i usage
}

try versions versions
try packages packages
try status status
try refuses-unknown-packages unknown
try conf-select conf_select
finish
