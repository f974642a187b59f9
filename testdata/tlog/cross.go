// Reads a log, a proof or a checkpoint with Go's own transparency log packages, or makes some for others to read.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func refuse(format string, args ...interface{}) {
	check(fmt.Errorf(format, args...))
}

// The checkpoint's tree, once the key has signed it and its origin is the key's name.
func open(text []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	check(err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		refuse("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	hash, err := tlog.ParseHash(lines[2])
	check(err)
	return tlog.Tree{N: size, Hash: hash}
}

type tiles struct{ dir string }

func (tiles) Height() int                         { return 8 }
func (tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}
func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			full := tile
			full.W = 256
			path = "tile/" + strings.TrimPrefix(full.Path(), "tile/8/")
			data, err = os.ReadFile(filepath.Join(t.dir, path))
			if err == nil {
				data = data[:tile.W*tlog.HashSize]
			}
		}
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func bundle(dir string, index, width int64) [][]byte {
	tile := tlog.Tile{H: 8, L: 0, N: index, W: int(width)}
	path := "tile/entries/" + strings.TrimPrefix(tile.Path(), "tile/8/0/")
	data, err := os.ReadFile(filepath.Join(dir, path))
	check(err)
	var entries [][]byte
	for len(data) > 0 {
		length := int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if int64(len(entries)) != width {
		refuse("%s has %d entries", path, len(entries))
	}
	return entries
}

// Every entry, every tile, and proofs of some.
func verify(dir, vkey string) {
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	tree := open(text, vkey)
	reader := tlog.TileHashReader(tree, tiles{dir})
	for first := int64(0); first < tree.N; first += 256 {
		width := tree.N - first
		if width > 256 {
			width = 256
		}
		var indexes []int64
		for at := first; at < first+width; at++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, at))
		}
		hashes, err := reader.ReadHashes(indexes)
		check(err)
		for at, entry := range bundle(dir, first/256, width) {
			if tlog.RecordHash(entry) != hashes[at] {
				refuse("entry %d is not what was signed", first+int64(at))
			}
		}
	}
	for at := int64(0); at < tree.N; at += 1 + tree.N/97 {
		proof, err := tlog.ProveRecord(tree.N, at, reader)
		check(err)
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, at)})
		check(err)
		check(tlog.CheckRecord(proof, tree.N, tree.Hash, at, hashes[0]))
		if at > 0 {
			old, err := tlog.TreeHash(at, reader)
			check(err)
			proof, err := tlog.ProveTree(tree.N, at, reader)
			check(err)
			check(tlog.CheckTree(proof, tree.N, tree.Hash, at, old))
		}
	}
	fmt.Println(tree.N)
}

// The hashes between the first lines and the empty line, and the checkpoint behind it.
func split(text []byte, head int) ([]string, []tlog.Hash, []byte) {
	parts := bytes.SplitN(text, []byte("\n\n"), 2)
	if len(parts) != 2 {
		refuse("no checkpoint")
	}
	lines := strings.Split(string(parts[0]), "\n")
	var hashes []tlog.Hash
	for _, line := range lines[head:] {
		hash, err := tlog.ParseHash(line)
		check(err)
		hashes = append(hashes, hash)
	}
	return lines[:head], hashes, parts[1]
}

type extra struct {
	Format   string   `json:"format"`
	Entry    string   `json:"entry"`
	Openings []string `json:"openings"`
}

// A proof of an entry, in the tlog-proof form.
func proven(path, vkey string) {
	text, err := os.ReadFile(path)
	check(err)
	head, hashes, signed := split(text, 3)
	if head[0] != "c2sp.org/tlog-proof@v1" {
		refuse("no tlog-proof")
	}
	data, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(head[1], "extra "))
	check(err)
	var carried struct {
		Entry string `json:"entry"`
	}
	check(json.Unmarshal(data, &carried))
	index, err := strconv.ParseInt(strings.TrimPrefix(head[2], "index "), 10, 64)
	check(err)
	tree := open(signed, vkey)
	check(tlog.CheckRecord(hashes, tree.N, tree.Hash, index, tlog.RecordHash([]byte(carried.Entry))))
	fmt.Println(index)
}

// A proof that a checkpoint continues an older one.
func continued(path, older, vkey string) {
	text, err := os.ReadFile(path)
	check(err)
	head, hashes, signed := split(text, 1)
	before, err := os.ReadFile(older)
	check(err)
	old, tree := open(before, vkey), open(signed, vkey)
	if head[0] != fmt.Sprintf("old %d", old.N) {
		refuse("the proof is from another size")
	}
	check(tlog.CheckTree(hashes, tree.N, tree.Hash, old.N, old.Hash))
	fmt.Println(tree.N)
}

// Hashes in memory, as the package stores them.
type memory []tlog.Hash

func (m memory) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var found []tlog.Hash
	for _, index := range indexes {
		found = append(found, m[index])
	}
	return found, nil
}

// A log of Go's own: its key, two checkpoints, a proof of one entry and one that the second continues the first.
func produce(dir string, size, old, index int64) {
	const name = "go.example/log"
	seed := sha256.Sum256([]byte("a key of a test"))
	private := ed25519.NewKeyFromSeed(seed[:])
	public := append([]byte{1}, private.Public().(ed25519.PublicKey)...)
	sum := sha256.Sum256(append([]byte(name+"\n"), public...))
	id := binary.BigEndian.Uint32(sum[:])
	skey := fmt.Sprintf("PRIVATE+KEY+%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{1}, seed[:]...)))
	vkey := fmt.Sprintf("%s+%08x+%s", name, id, base64.StdEncoding.EncodeToString(public))
	signer, err := note.NewSigner(skey)
	check(err)
	var stored memory
	entry := func(at int64) string { return fmt.Sprintf("{\"go\":%d}", at) }
	for at := int64(0); at < size; at++ {
		hashes, err := tlog.StoredHashes(at, []byte(entry(at)), stored)
		check(err)
		stored = append(stored, hashes...)
	}
	checkpoint := func(size int64) string {
		root, err := tlog.TreeHash(size, stored)
		check(err)
		signed, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", name, size, root)}, signer)
		check(err)
		return string(signed)
	}
	lines := func(hashes []tlog.Hash) string {
		text := ""
		for _, hash := range hashes {
			text += hash.String() + "\n"
		}
		return text
	}
	record, err := tlog.ProveRecord(size, index, stored)
	check(err)
	tree, err := tlog.ProveTree(size, old, stored)
	check(err)
	data, err := json.Marshal(extra{"bailiwick entry 1", entry(index), []string{}})
	check(err)
	write := func(file, text string) { check(os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600)) }
	write("key", vkey+"\n")
	write("older", checkpoint(old))
	write("newer", checkpoint(size))
	write("entry.tlog-proof", fmt.Sprintf("c2sp.org/tlog-proof@v1\nextra %s\nindex %d\n%s\n%s",
		base64.StdEncoding.EncodeToString(data), index, lines(record), checkpoint(size)))
	write("continued", fmt.Sprintf("old %d\n%s\n%s", old, lines(tree), checkpoint(size)))
}

func main() {
	number := func(at int) int64 {
		value, err := strconv.ParseInt(os.Args[at], 10, 64)
		check(err)
		return value
	}
	switch os.Args[1] {
	case "verify":
		verify(os.Args[2], os.Args[3])
	case "proven":
		proven(os.Args[2], os.Args[3])
	case "continued":
		continued(os.Args[2], os.Args[3], os.Args[4])
	case "produce":
		produce(os.Args[2], number(3), number(4), number(5))
	default:
		refuse("what?")
	}
}
