#!/usr/bin/env bash
# The server, whose sessions run on YARN.
set -eu
hdfs=$PARENT_DIR/usr/bin/hdfs
runuser -u hdfs -- "$hdfs" dfs -mkdir -p /user/livy
runuser -u hdfs -- "$hdfs" dfs -chown livy:livy /user/livy
printf '%s\n' 'livy.spark.master = yarn' 'livy.spark.deploy-mode = client' 'livy.repl.enable-hive-context = false' >> /etc/livy/conf/livy.conf
/etc/init.d/livy-server start
for _ in {1..60}; do
  if curl --silent --fail --output /dev/null "http://$(hostname -f):8998/sessions"; then exit 0; fi
  sleep 2
done
tail -n 30 /var/log/livy/*.out >&2
exit 1
