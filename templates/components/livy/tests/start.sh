#!/usr/bin/env bash
# The server, whose sessions run on YARN.
set -eu
. "$(dirname "$0")/host.sh"
home_in_hdfs livy /user/livy
printf '%s\n' 'livy.spark.master = yarn' 'livy.spark.deploy-mode = client' 'livy.repl.enable-hive-context = false' >> /etc/livy/conf/livy.conf
# Busy machines need more than the 90 seconds that a session has to start.
echo 'livy.rsc.server.connect.timeout = 5m' >> /etc/livy/conf/livy-client.conf
/etc/init.d/livy-server start
await_or_log 300 '/var/log/livy/*.out' answers "http://$(hostname -f):8998/sessions"
