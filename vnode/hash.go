package vnode

import (
	"math/bits"
	"unsafe"

	"github.com/zeebo/xxh3"
)

// Hash returns xxh3_64 of the canonical bytes of k. It never changes: it decides the vnode of every key
// (see [Of]), and golden vectors pin it.
func (o KeyOps[K]) Hash(k K) uint64 {
	if o.wide {
		return hashWord(*(*uint64)(unsafe.Pointer(&k)))
	}
	return o.hash(k)
}

func (o KeyOps[K]) hash(k K) uint64 {
	switch o.kind {
	case keyString:
		return xxh3.HashString(o.text(&k))
	case keyBytes:
		return xxh3.Hash(o.bytes(&k))
	default:
		return hashWord(o.word(&k))
	}
}

// hashWord is xxh3_64 of the 8 bytes of x, little endian: XXH3_len_4to8_64b of the xxHash specification with
// seed 0. It stands here because the library reads bytes from memory, which takes longer than the hash.
func hashWord(x uint64) uint64 {
	const secret = 0x1cad21f72c81017c ^ 0xdb979083e96dd4de // bytes 8-15 and 16-23 of the default secret
	h := bits.RotateLeft64(x, 32) ^ secret
	h ^= bits.RotateLeft64(h, 49) ^ bits.RotateLeft64(h, 24)
	h *= 0x9fb21c651e98df25
	h ^= h>>35 + 8
	h *= 0x9fb21c651e98df25
	return h ^ h>>28
}
