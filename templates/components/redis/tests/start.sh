#!/usr/bin/env bash
# A server and a sentinel that watches it.
set -eu
/etc/init.d/redis-server start
/etc/init.d/redis-sentinel start
