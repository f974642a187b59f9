"""Reads a log and its cosignatures with aics-tlog, and asks a witness of ours with aics-witness's client."""

import sys
from pathlib import Path

from aics_tlog import (
    FileSystemTileReader,
    audit_tiles,
    consistency_proof_from_tiles,
    parse_note,
    parse_vkey,
    verify_checkpoint,
)


def checkpoint(path, key, witnesses):
    """The size and root of a checkpoint that its log and all witnesses signed."""
    note = parse_note(Path(path).read_bytes())
    keys = [parse_vkey(witness) for witness in witnesses]
    found = verify_checkpoint(note, parse_vkey(key), keys, quorum=len(keys))
    if not found.ok:
        sys.exit(f"refused: {found.error}")
    return found


def verify(folder, key, *witnesses):
    """Every tile and every bundle of the log, against a checkpoint."""
    found = checkpoint(Path(folder) / "checkpoint", key, witnesses)
    audit_tiles(FileSystemTileReader(folder), found.size, found.root)
    print(found.size)


def ask(folder, url, witness):
    """Asks a witness to cosign a log's checkpoint."""
    from aics_witness.feeder import submit_checkpoint

    note = (Path(folder) / "checkpoint").read_bytes()
    reader = FileSystemTileReader(folder)

    def proof(old, new):
        return consistency_proof_from_tiles(reader, old, new)

    print(submit_checkpoint(url, note, proof, witness_vkey=witness))


if __name__ == "__main__":
    {"verify": verify, "ask": ask}[sys.argv[1]](*sys.argv[2:])
