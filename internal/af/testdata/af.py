"""Prints the known values of TestKnown: the anti-forensic merge of LUKS, written from
the LUKS1 On-Disk Format Specification 1.2.3, section 2.4, and nothing else."""
import hashlib
import struct

STRIPES, N = 4000, 24


def diffuse(block, name):
    size, out = hashlib.new(name).digest_size, b""
    for i in range(0, len(block), size):
        part = block[i:i + size]
        out += hashlib.new(name, struct.pack(">I", i // size) + part).digest()[:len(part)]
    return out


def merge(s, n, name):
    d = bytes(n)
    for i in range(STRIPES - 1):
        d = diffuse(bytes(a ^ b for a, b in zip(d, s[i * n:(i + 1) * n])), name)
    return bytes(a ^ b for a, b in zip(d, s[-n:]))


material = bytes(i * 7 // 3 & 255 for i in range(N * STRIPES))
for name in ("sha1", "sha256"):
    print(name, merge(material, N, name).hex())
