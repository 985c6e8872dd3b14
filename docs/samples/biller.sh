#!/usr/bin/env bash
# A biller with curl: `biller.sh invoices.json` deposits, follows, and reads the feed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -r "$folder"' EXIT
umask 077

field() { sed -n "s/.*\"$1\": *\"\{0,1\}\([^\",}]*\).*/\1/p" "$2"; }
ask() { curl --silent --show-error --fail-with-body --retry 5 --max-time 60 "$@"; }

# Secrets go through files: the list of processes shows arguments to everybody.
printf 'user = "%s:%s"\n' "$QUITTANCE_CLIENT_ID" "$QUITTANCE_CLIENT_SECRET" > "$folder/client"
ask --config "$folder/client" --data grant_type=client_credentials \
    "$QUITTANCE_TOKEN_URL" > "$folder/answer"
printf 'header = "Authorization: Bearer %s"\n' "$(field access_token "$folder/answer")" \
    > "$folder/token"

key=$(sha256sum "$1" | cut -d ' ' -f 1)
ask --config "$folder/token" --header "Idempotency-Key: $key" --header 'Content-Type:' \
    --data-binary "@$1" "$QUITTANCE_DEPOSITS_URL/v1/deposits" > "$folder/answer"
deposit=$QUITTANCE_DEPOSITS_URL/v1/deposits/$(field deposit_id "$folder/answer")
until [[ $(field status "$folder/answer") =~ ^(done|failed)$ ]]; do
    sleep 1
    ask --config "$folder/token" "$deposit" > "$folder/answer"
done
cat "$folder/answer"
[[ $(field status "$folder/answer") == done ]]
ask --config "$folder/token" "$deposit/lines?status=rejected"

after=$(cat cursor.txt 2> /dev/null || echo 0)
while
    ask --config "$folder/token" "$QUITTANCE_COLLECTIONS_URL/v1/collections?after=$after" \
        > "$folder/answer"
    next=$(field next "$folder/answer")
    [[ $next != "$after" ]]
do
    cat "$folder/answer"
    after=$next
    echo "$after" > cursor.txt # only now that the items are in our own books
done
