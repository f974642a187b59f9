#!/usr/bin/env python3
"""Verifies a log's published part with nothing of ours: Python's standard library and the openssl program.

verify-log.py LOG [KEY]    LOG is the log's folder; KEY a verifier key kept elsewhere, else the one beside the log
"""
import base64
import hashlib
import pathlib
import subprocess
import sys
import tempfile


def tile(index, width):
    """Path of a bundle (C2SP tlog-tiles): 000, 001, … x001/000; a partial one ends in .p/WIDTH."""
    name = f"{index % 1000:03}"
    while index := index // 1000:
        name = f"x{index % 1000:03}/{name}"
    return name if width == 256 else f"{name}.p/{width}"


def leaves(log, size):
    """Leaf hashes (RFC 6962, 2.1) of all entries; each is two bytes of length and the entry."""
    for index in range(-(-size // 256)):
        data = (log / "tile/entries" / tile(index, min(256, size - 256 * index))).read_bytes()
        while data:
            end = 2 + int.from_bytes(data[:2], "big")
            yield hashlib.sha256(b"\0" + data[2:end]).digest()
            data = data[end:]


def root(hashes):
    """Root of the tree over leaf hashes (RFC 6962, 2.1)."""
    if len(hashes) < 2:
        return hashes[0] if hashes else hashlib.sha256(b"").digest()
    half = 1 << ((len(hashes) - 1).bit_length() - 1)
    return hashlib.sha256(b"\1" + root(hashes[:half]) + root(hashes[half:])).digest()


def signed(text, signature, key):
    """Checks a note's Ed25519 signature: after the name come four bytes of key id, in the key one of algorithm."""
    name, _, public = key.split("+", 2)
    lines = [line for line in signature.splitlines() if line.startswith(f"— {name} ")]
    if not lines:
        sys.exit(f"there is no signature of {name}")
    with tempfile.TemporaryDirectory() as folder:
        files = [pathlib.Path(folder, name) for name in ("key", "text", "signature")]
        prefix = bytes.fromhex("302a300506032b6570032100")
        files[0].write_bytes(prefix + base64.b64decode(public)[1:])
        files[1].write_text(text, "utf-8")
        files[2].write_bytes(base64.b64decode(lines[0].split(" ")[2])[4:])
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", files[0], "-rawin"]
        done = subprocess.run([*command, "-in", files[1], "-sigfile", files[2]], capture_output=True)
        return done.returncode == 0


def main():
    log = pathlib.Path(sys.argv[1])
    key = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else log / "verifier.key"
    text, _, signature = (log / "checkpoint").read_text("utf-8").partition("\n\n")
    origin, size, expected = text.split("\n")[:3]
    if not signed(text + "\n", signature, key.read_text("utf-8").strip()):
        sys.exit("the checkpoint is not what was signed")
    if base64.b64encode(root(list(leaves(log, int(size))))).decode() != expected:
        sys.exit("the entries are not those that were signed")
    print(f"{size} entries of {origin}, all as they were signed")


if __name__ == "__main__":
    main()
