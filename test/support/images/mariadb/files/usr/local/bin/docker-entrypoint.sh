#!/bin/bash
# Makes the database in the volume the first time (MARIADB_ROOT_PASSWORD, MARIADB_DATABASE, MARIADB_USER, MARIADB_PASSWORD,
# /docker-entrypoint-initdb.d), with a temporary server that listens on no network, then becomes the server.
set -euo pipefail
case "${1:-}" in -*) set -- mariadbd "$@" ;; esac
[ "${1:-}" = mariadbd ] || exec "$@"
datadir=/var/lib/mysql
socket=/run/mysqld/mysqld.sock

if [ "$(id -u)" = 0 ]; then
  mkdir -p "$datadir" /run/mysqld
  find "$datadir" /run/mysqld \! -user mysql -exec chown mysql:mysql '{}' +
  exec gosu mysql "$0" "$@"
fi

quoted() { sed "s/[\\\\']/\\\\&/g" <<<"$1"; }

if [ ! -d "$datadir/mysql" ]; then
  if [ -z "${MARIADB_ROOT_PASSWORD:-}" ]; then
    echo '[ERROR] [Entrypoint]: Database is uninitialized and password option is not specified: set MARIADB_ROOT_PASSWORD' >&2
    exit 1
  fi
  mariadb-install-db --rpm --datadir="$datadir" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  "$@" --skip-networking --socket="$socket" &
  server=$!
  for _ in $(seq 300); do
    mariadb-admin --socket="$socket" -uroot ping >/dev/null 2>&1 && break
    kill -0 "$server"
    sleep 0.1
  done
  {
    echo "ALTER USER root@localhost IDENTIFIED BY '$(quoted "$MARIADB_ROOT_PASSWORD")';"
    echo "CREATE USER root@'%' IDENTIFIED BY '$(quoted "$MARIADB_ROOT_PASSWORD")';"
    echo "GRANT ALL ON *.* TO root@'%' WITH GRANT OPTION;"
    echo "CREATE USER healthcheck@localhost IDENTIFIED BY '';"
    [ -z "${MARIADB_DATABASE:-}" ] || echo "CREATE DATABASE \`$MARIADB_DATABASE\`;"
    if [ -n "${MARIADB_USER:-}" ]; then
      echo "CREATE USER \`$MARIADB_USER\`@'%' IDENTIFIED BY '$(quoted "${MARIADB_PASSWORD:-}")';"
      [ -z "${MARIADB_DATABASE:-}" ] || echo "GRANT ALL ON \`$MARIADB_DATABASE\`.* TO \`$MARIADB_USER\`@'%';"
    fi
  } | mariadb --socket="$socket" -uroot
  for file in /docker-entrypoint-initdb.d/*; do
    case "$file" in
      *.sh) "$file" ;;
      *.sql) mariadb --socket="$socket" -uroot -p"$MARIADB_ROOT_PASSWORD" ${MARIADB_DATABASE:+"$MARIADB_DATABASE"} <"$file" ;;
    esac
  done
  kill "$server"
  wait "$server"
  echo '[Note] [Entrypoint]: MariaDB init process done. Ready for start up.'
fi
exec "$@"
