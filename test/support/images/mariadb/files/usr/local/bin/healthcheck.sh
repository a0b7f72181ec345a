#!/bin/sh
# Healthy when the final server, the one that listens on the network, answers: the temporary one must not count.
exec mariadb-admin --protocol=tcp --host=127.0.0.1 --user=healthcheck ping
