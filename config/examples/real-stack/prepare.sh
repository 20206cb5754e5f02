#!/bin/sh
# Makes the directories and files that services.toml names, below STACK_DIR. May be run again: what is there is kept.
set -eu

: "${STACK_DIR:?set it to the directory that shall hold the data, for example: export STACK_DIR=\$HOME/stack}"
if [ "$(id -u)" -eq 0 ]; then
    echo "PostgreSQL refuses to run as root: prepare and run this as an ordinary user" >&2
    exit 1
fi

bin=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
if [ -z "$bin" ]; then
    echo "PostgreSQL is not installed: apt-get install postgresql" >&2
    exit 1
fi

umask 077
mkdir -p "$STACK_DIR/bin" "$STACK_DIR/run" "$STACK_DIR/redis" "$STACK_DIR/dnsmasq" "$STACK_DIR/nginx/tmp"
ln -sfn "$bin/postgres" "$STACK_DIR/bin/postgres"

if [ ! -e "$STACK_DIR/postgres/PG_VERSION" ]; then
    "$bin/initdb" --pgdata="$STACK_DIR/postgres" --auth=trust --username=platform --encoding=UTF8 --locale=C >/dev/null
fi

# Neither asks for the rights of root, nor reads the files of the package.
cat > "$STACK_DIR/dnsmasq/cache.conf" <<END
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
cache-size=1000
user=
pid-file=
END
cat > "$STACK_DIR/dnsmasq/zone.conf" <<END
listen-address=127.0.0.1
bind-interfaces
no-resolv
no-hosts
address=/web.platform.internal/127.0.0.1
user=
pid-file=
END

cat > "$STACK_DIR/nginx/nginx.conf" <<END
pid nginx.pid;
worker_processes 1;
events { worker_connections 64; }
http {
    access_log /dev/stdout;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    server {
        listen 127.0.0.1:18080;
        location = /health { access_log off; return 200 "ok\n"; }
        location / { return 200 "the platform\n"; }
    }
}
END
echo "ready: $STACK_DIR"
