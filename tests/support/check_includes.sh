#!/bin/sh
# Includes keep the direction of the house: base <- runtime <- classifier, base <- policies, gateway sees all.
# A folder may name another folder's public header only, and only in that direction; TLS, libcurl, libuv, llhttp and
# SQLite stay in gateway/.  usage: check_includes.sh <source folder>
cd "$1" || exit 2
bad=0
forbid() { # forbid <folder> <pattern> <why>
    found=$(grep -rnE "#[[:space:]]*include[[:space:]]*[<\"]($2)" "$1" --include='*.c' --include='*.h')
    [ -z "$found" ] || { echo "$3:"; echo "$found"; bad=1; }
}
forbid runtime/base 'weir_(runtime|classifier|policies|gateway)\.h' "base includes a library above it"
forbid runtime 'weir_(classifier|policies|gateway)\.h' "runtime includes a library above it"
forbid classifier 'weir_(policies|gateway)\.h' "classifier sees policies or the gateway"
forbid policies 'weir_(runtime|classifier|gateway)\.h' "policies see the runtime, the classifier or the gateway"
for folder in runtime classifier policies; do
    forbid $folder 'curl/|uv\.h|llhttp\.h|sqlite3\.h|mbedtls/ssl|mbedtls/x509|mbedtls/net' "$folder includes what belongs to the gateway"
    forbid $folder '\.\./' "$folder reaches out of its folder"
done
forbid gateway '\.\./' "gateway reaches out of its folder"
exit $bad
