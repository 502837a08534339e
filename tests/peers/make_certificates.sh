#!/bin/sh
# Makes an authority of its own for a test, with the certificate of a server called `localhost` and one of a client.
# usage: make_certificates.sh FOLDER [COMMON-NAME of the client]
# In FOLDER: ca.crt ca.key server.crt server.key, and credentials/ as a TAK administrator hands them out: tls.crt tls.key
# ca.crt. Valid for a day.
set -eu
if [ $# -lt 1 ] || [ $# -gt 2 ]; then
  echo "usage: $0 FOLDER [COMMON-NAME]" >&2
  exit 2
fi
folder=$1
client=${2:-feeder}
mkdir -p "$folder/credentials"
cd "$folder"

new_key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1" 2>/dev/null; }
# signed NAME SUBJECT EXTENSIONS: NAME.key and NAME.crt
signed() {
  new_key "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  printf '%s\n' "$3" >"$1.ext"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 1 -extfile "$1.ext" -out "$1.crt" \
    2>/dev/null
  rm "$1.csr" "$1.ext"
}

new_key ca.key
openssl req -x509 -new -key ca.key -subj "/O=Test authority/CN=ca of $client" -days 1 -out ca.crt
signed server /CN=localhost "subjectAltName=DNS:localhost
extendedKeyUsage=serverAuth"
signed client "/O=Test/CN=$client" "extendedKeyUsage=clientAuth"
mv client.crt credentials/tls.crt
mv client.key credentials/tls.key
cp ca.crt credentials/ca.crt
