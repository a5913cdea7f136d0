#!/bin/bash
# Spark computes on this host alone; with a YARN cluster, SparkPi runs there with its driver in a container.
set -u
. "$(dirname "$0")/tap.sh"
export PATH=$PARENT_DIR/usr/bin:$PATH
chmod 0755 "$SMOKE_DIR"

lib=$PARENT_DIR/usr/lib/spark

as_spark() {
  runuser -u spark -- bash -c "cd ~ && $1"
}

local_sum() {
  echo 'println("sum: " + sc.parallelize(1 to 1000, 4).sum)' > "$SMOKE_DIR/sum.scala"
  as_spark "spark-shell --master 'local[2]' --driver-memory 512m --conf spark.ui.enabled=false \
    --conf spark.eventLog.enabled=false < '$SMOKE_DIR/sum.scala'" 2>&1 | tee "$SMOKE_DIR/sum" | tail -n 5
  grep -q 'sum: 500500' "$SMOKE_DIR/sum"
}

pi_cluster() {
  local jar id try
  jar=$(ls "$lib"/examples/jars/spark-examples_*.jar)
  as_spark "spark-submit --master yarn --deploy-mode cluster --driver-memory 512m --executor-memory 512m \
    --num-executors 1 --class org.apache.spark.examples.SparkPi $jar 4" > "$SMOKE_DIR/submit" 2>&1
  tail -n 5 "$SMOKE_DIR/submit"
  grep -q 'final status: SUCCEEDED' "$SMOKE_DIR/submit" || return 1
  id=$(grep -o 'application_[0-9]*_[0-9]*' "$SMOKE_DIR/submit" | head -n 1)
  # The logs of a finished application arrive some seconds later.
  for try in 1 2 3 4 5 6; do
    as_spark "yarn logs -applicationId $id" 2> /dev/null | grep 'Pi is roughly 3' && return 0
    sleep 5
  done
  return 1
}

try local-sum local_sum
if ! grep -qs '<value>yarn</value>' /etc/hadoop/conf/mapred-site.xml; then
  skip pi-on-yarn 'this host knows no YARN cluster'
elif ! ls "$lib"/examples/jars/spark-examples_*.jar > /dev/null 2>&1; then
  skip pi-on-yarn 'these packages have no examples.jar'
else
  try pi-on-yarn pi_cluster
fi

finish
