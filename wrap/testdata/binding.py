# Prints the bindings of the envelopes in TestBindingGolden, as docs/envelope.md says.
import base64, hashlib, hmac, struct

def hkdf(secret, salt, info):
    prk = hmac.new(salt, secret, hashlib.sha256).digest()
    return hmac.new(prk, info + b"\1", hashlib.sha256).digest()

def binding(disk, salt, iterations, *fields):
    if iterations:
        disk = hashlib.pbkdf2_hmac("sha512", disk, salt, iterations)
    key = hkdf(disk, salt, b"luksimg key envelope v2")
    return hmac.new(key, b"".join(struct.pack(">I", len(f)) + f.encode() for f in fields), hashlib.sha256).hexdigest()

text = base64.b64encode(bytes(range(32))).decode()
salt = bytes(range(16))
print(binding(text.encode(), salt, 0, "classic-luks", "w" + text, "", "local:0123456789abcdef", "7d9f4ad6-2d0b-4b6e-9d3a-3b8c7f3f2a11", ""))
print(binding(b"abc123", salt, 1000, "vpc-qcow2", "wYWJjMTIz", "crn:x", "", "", ""))
