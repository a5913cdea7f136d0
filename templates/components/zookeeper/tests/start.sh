#!/usr/bin/env bash
# One server with an empty data folder.
set -eu
/etc/init.d/zookeeper-server init
/etc/init.d/zookeeper-server start
