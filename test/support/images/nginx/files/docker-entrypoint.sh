#!/bin/sh
# Runs the scripts of /docker-entrypoint.d before nginx, as the official image does, then becomes the command.
set -e
if [ "$1" = nginx ]; then
  for script in /docker-entrypoint.d/*.sh; do
    [ -x "$script" ] || continue
    echo "docker-entrypoint.sh: launching $script"
    "$script"
  done
  echo 'docker-entrypoint.sh: configuration complete; ready for start up'
fi
exec "$@"
