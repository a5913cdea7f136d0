#!/usr/bin/env bash
# Both programs, started by the user of usersync, accept the password of an account of this host and refuse another one.
set -u
. "$(dirname "$0")/tap.sh"
programs=$PARENT_DIR/usr/lib/ranger-usersync/native
account=bigtop-smoke-$$
password=Smoke-$$-$STACK_VERSION
service=/etc/pam.d/ranger-remote

as_usersync() {
  # A container may deny programs the rights of their owner. Then only root can see what else they do.
  if grep -q 'NoNewPrivs:[[:space:]]*1' /proc/self/status; then
    "$@"
  else
    runuser -u ranger -- "$@"
  fi
}

answer() { # PROGRAM PASSWORD
  printf 'LOGIN:%s %s\n' "$account" "$2" | as_usersync "$programs/$1"
}

accepts() {
  answer "$1" "$password" | grep -x OK:
}

refuses() {
  answer "$1" "not-$password" | grep '^FAILED:'
}

closed() {
  local program
  for program in "$programs"/*.uexe; do
    if runuser -u nobody -- "$program" </dev/null; then
      return 1
    fi
  done 2>&1 | grep -ci 'permission denied' | grep -x 2
}

useradd --no-create-home "$account"
echo "$account:$password" | chpasswd
# Whoever checks passwords by PAM writes this file.
written=
if [ ! -e "$service" ]; then
  printf '%s required pam_unix.so\n' auth account > "$service"
  written=yes
fi
try shadow-accepts accepts credValidator.uexe
try shadow-refuses refuses credValidator.uexe
try pam-accepts accepts pamCredValidator.uexe
try pam-refuses refuses pamCredValidator.uexe
try closed-to-others closed
userdel "$account"
[ -z "$written" ] || rm -f "$service"
finish
