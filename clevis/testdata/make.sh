#!/bin/sh
# How the files here were made: by clevis 19 and tang 11 of Debian 12, tangd under socat.
set -e
/usr/libexec/tangd-keygen db
socat TCP-LISTEN:8099,bind=127.0.0.1,reuseaddr,fork EXEC:"/usr/libexec/tangd db" &
server=$!
sleep 1
url='{"url":"http://127.0.0.1:8099"}'
curl -s http://127.0.0.1:8099/adv >adv.jws
grep -l ECMR db/*.jwk | xargs cat >exchange.jwk
printf 'the secret' | clevis encrypt tang "$url" -y >tang.jwe
printf 'the secret' | clevis encrypt sss "{\"t\":2,\"pins\":{\"tang\":[$url,$url],\"sss\":{\"t\":1,\"pins\":{\"tang\":$url}}}}" -y >sss.jwe
truncate -s 20M image
printf first >key
cryptsetup luksFormat -q --type luks2 --pbkdf pbkdf2 --pbkdf-force-iterations 1000 image key
clevis luks bind -y -k key -d image tang "$url"
cryptsetup token export --token-id 0 image >token.json
kill $server
