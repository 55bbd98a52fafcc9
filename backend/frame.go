package backend

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// The objects of the ledger stand in one frame: magic, format version, body, and the SHA-256 of all that comes before
// it. Every format, present or future, keeps these four, so that a damaged object is told from a newer one.
const (
	frameMagic  = 8
	frameHeader = frameMagic + 4
	frameRoom   = frameHeader + len(Digest{})
)

// ledgerFormat is the format that this release writes, and the newest that it reads.
const ledgerFormat = 1

// openFrame begins a frame; the body is appended to it.
func openFrame(magic string, version uint32, room int) []byte {
	data := make([]byte, 0, frameRoom+room)
	return binary.LittleEndian.AppendUint32(append(data, magic...), version)
}

// closeFrame appends the digest and returns it too.
func closeFrame(data []byte) ([]byte, Digest) {
	sum := Digest(sha256.Sum256(data))
	return append(data, sum[:]...), sum
}

// readFrame checks a frame and returns its body, its version and its digest.
func readFrame(key, magic string, data []byte) (body []byte, version uint32, sum Digest, err error) {
	if len(data) < frameRoom {
		return nil, 0, sum, corrupt(key, "it has %d bytes, its frame alone takes %d", len(data), frameRoom)
	}
	if string(data[:frameMagic]) != magic {
		return nil, 0, sum, corrupt(key, "it begins with %q, not with %q", data[:frameMagic], magic)
	}
	end := len(data) - len(sum)
	sum = sha256.Sum256(data[:end])
	if !bytes.Equal(sum[:], data[end:]) {
		return nil, 0, sum, corrupt(key, "its digest does not match its %d bytes", len(data))
	}
	version = binary.LittleEndian.Uint32(data[frameMagic:])
	if version > ledgerFormat {
		return nil, version, sum, &FormatError{Object: key, Version: version, Supported: ledgerFormat}
	}
	if version == 0 {
		return nil, 0, sum, corrupt(key, "it has format 0")
	}
	return data[frameHeader:end], version, sum, nil
}

func corrupt(key, format string, args ...any) error {
	return &CorruptError{Object: key, Reason: fmt.Sprintf(format, args...)}
}
