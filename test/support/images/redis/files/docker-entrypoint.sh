#!/bin/sh
# Flags alone mean redis-server; root gives the volume to redis and drops its rights, as the official image does.
set -e
case "$1" in -*) set -- redis-server "$@" ;; esac
if [ "$1" = redis-server ] && [ "$(id -u)" = 0 ]; then
  find . \! -user redis -exec chown redis:redis '{}' +
  exec gosu redis "$0" "$@"
fi
if [ "$1" = redis-server ]; then
  umask 0077
  exec "$@" --protected-mode no
fi
exec "$@"
