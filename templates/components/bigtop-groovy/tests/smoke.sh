#!/usr/bin/env bash
# groovy runs a script that computes and writes JSON, as Hadoop's start-up scripts do.
set -u
. "$(dirname "$0")/tap.sh"
groovy=/usr/lib/bigtop-groovy/bin/groovy
script=$SMOKE_DIR/smoke.groovy

script() {
  echo 'println((1..4).collect { it * it }.sum())' > "$script"
  [ "$("$groovy" "$script")" = 30 ]
}

json() {
  echo 'println(groovy.json.JsonOutput.toJson(new groovy.json.JsonSlurper().parseText(args[0])))' > "$script"
  [ "$("$groovy" "$script" '{ "stack": [1, 2] }')" = '{"stack":[1,2]}' ]
}

try script script
try json json
rm -f "$script"
finish
