# What smoke tests have in common: one line of TAP for each test, and the plan at the end. Every smoke.sh has it beside it.
tests=0 failed=0

try() { # NAME COMMAND...: one test
  local name=$1 result=ok
  shift
  tests=$((tests + 1))
  "$@" || result='not ok' failed=1
  # On a line of its own, even if what the command printed does not end one.
  printf '\n%s %s - %s\n' "$result" "$tests" "$name"
}

skip() { # NAME WHY: a test that says nothing on this host
  tests=$((tests + 1))
  echo "ok $tests - $1 # SKIP $2"
}

finish() { # the plan, and the end of the script
  echo "1..$tests"
  exit "$failed"
}
