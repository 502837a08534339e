#!/bin/sh
# A PostgreSQL for tests: makes its cluster in the volume at the first start, then runs it in the foreground.
#   POSTGRES_USER, POSTGRES_PASSWORD, POSTGRES_DB   or each as NAME_FILE: a file that holds it
#   POSTGRES_DATA       default /var/lib/postgresql/data: a volume that uid 10001 may write
#   POSTGRES_TLS        a folder with tls.crt and tls.key (a mounted Secret): then it takes TLS alone; default: no TLS
#   POSTGRES_SETTINGS   more settings with spaces between them: max_connections=200 fsync=off
# Arguments after the name of the image are arguments of postgres.
set -eu
bin=$(echo /usr/lib/postgresql/*/bin)

# value NAME DEFAULT: of the environment or of the file that NAME_FILE names.
value() {
  eval "file=\${${1}_FILE-} text=\${$1-}"
  if [ -n "$file" ]; then cat "$file"; else printf '%s\n' "${text:-$2}"; fi
}

user=$(value POSTGRES_USER postgres)
password=$(value POSTGRES_PASSWORD '')
database=$(value POSTGRES_DB "$user")
volume=${POSTGRES_DATA:-/var/lib/postgresql/data}
data=$volume/cluster # a folder of its own: a volume may hold lost+found, and may not be 0700
run=$volume/run
[ -n "$password" ] || { echo "entrypoint: set POSTGRES_PASSWORD or POSTGRES_PASSWORD_FILE" >&2 && exit 1; }
mkdir -p "$run"
rm -f "$run"/.s.PGSQL.*

if [ ! -s "$data/PG_VERSION" ]; then
  rm -rf "$data.new" "$data"
  printf '%s\n' "$password" >"$run/password"
  "$bin/initdb" -D "$data.new" -U "$user" -A scram-sha-256 --pwfile "$run/password" -E UTF8 --locale=C.UTF-8 --no-sync
  rm "$run/password"
  if [ "$database" != postgres ]; then
    # Without a listener: nobody finds a server that is not whole. The name is a value of psql's, never text of a command.
    printf '%s\n' 'CREATE DATABASE :"database";' >"$run/create.sql"
    echo 'local all all trust' >"$data.new/pg_hba.conf"
    "$bin/pg_ctl" -D "$data.new" -w -o "-c listen_addresses='' -c unix_socket_directories='$run'" -l "$run/first.log" start
    "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$run" -U "$user" -d postgres -v "database=$database" -f "$run/create.sql"
    "$bin/pg_ctl" -D "$data.new" -w -m fast stop
  fi
  mv "$data.new" "$data" # whole, or not there
fi

listeners=host
set -- -c "listen_addresses=*" -c "unix_socket_directories=$run" "$@"
if [ -n "${POSTGRES_TLS-}" ]; then
  # PostgreSQL wants a key that nobody else may read; a mounted Secret's group is not its own user's.
  rm -f "$run/tls.crt" "$run/tls.key"
  (umask 077 && cp "$POSTGRES_TLS/tls.crt" "$POSTGRES_TLS/tls.key" "$run/")
  chmod 600 "$run/tls.key"
  listeners=hostssl
  set -- -c ssl=on -c "ssl_cert_file=$run/tls.crt" -c "ssl_key_file=$run/tls.key" "$@"
fi
for setting in ${POSTGRES_SETTINGS-}; do set -- -c "$setting" "$@"; done
printf 'local all all trust\n%s all all all scram-sha-256\n' "$listeners" >"$data/pg_hba.conf"
exec "$bin/postgres" -D "$data" "$@"
