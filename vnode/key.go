package vnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"unsafe"
)

// MaxKeyLen is the longest canonical key, in bytes. Only string keys can reach it.
const MaxKeyLen = 4096

// ErrKey is returned for bytes that are no canonical key of the expected type.
var ErrKey = errors.New("malformed key")

// KeyTooLongError is returned for a string key above [MaxKeyLen].
type KeyTooLongError struct {
	Len   int // bytes
	Limit int // bytes
}

// Error names the length and the limit.
func (e *KeyTooLongError) Error() string {
	return fmt.Sprintf("key of %d bytes is over the limit of %d bytes: use a shorter key, such as a digest of it", e.Len, e.Limit)
}

// Key is what a key may be: a string, an integer, or an array of bytes of one of these lengths.
// Each is compared, hashed and copied without an encoder and without an allocation.
type Key interface {
	~string |
		~int | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 |
		~[4]byte | ~[8]byte | ~[12]byte | ~[16]byte | ~[20]byte | ~[24]byte | ~[32]byte | ~[64]byte
}

// KeyOps knows the canonical bytes of a key type and hashes them:
//
//	string   its bytes
//	integer  8 bytes, little endian, sign-extended, so that int32(5) and int64(5) agree
//	[n]byte  its bytes
//
// It is made once by [NewKeyOps], is small, and is passed by value. The zero KeyOps is not usable.
type KeyOps[K Key] struct {
	wide bool // an integer of 8 bytes: the fast path of Hash
	kind keyKind
	size int // bytes of K in memory
}

type keyKind uint8

const (
	keyString keyKind = iota + 1
	keySigned
	keyUnsigned
	keyBytes
)

// NewKeyOps resolves K.
func NewKeyOps[K Key]() KeyOps[K] {
	t := reflect.TypeFor[K]()
	o := KeyOps[K]{size: int(t.Size())}
	switch t.Kind() {
	case reflect.String:
		o.kind = keyString
	case reflect.Array:
		o.kind = keyBytes
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		o.kind = keySigned
	default:
		o.kind = keyUnsigned
	}
	o.wide = o.size == 8 && (o.kind == keySigned || o.kind == keyUnsigned)
	return o
}

// ID names the canonical form of K for the identity of a store: "string", "int64", "uint64", "bytes16".
// Signed integers of every width share one form, so a store of int32 keys can be opened with int64 keys.
func (o KeyOps[K]) ID() string {
	switch o.kind {
	case keyString:
		return "string"
	case keySigned:
		return "int64"
	case keyUnsigned:
		return "uint64"
	default:
		return fmt.Sprintf("bytes%d", o.size)
	}
}

// Check returns a [*KeyTooLongError] if k is longer than [MaxKeyLen].
func (o KeyOps[K]) Check(k K) error {
	if o.kind != keyString || len(o.text(&k)) <= MaxKeyLen {
		return nil
	}
	return &KeyTooLongError{Len: len(o.text(&k)), Limit: MaxKeyLen}
}

// Append appends the canonical bytes of k to dst.
func (o KeyOps[K]) Append(dst []byte, k K) []byte {
	switch o.kind {
	case keyString:
		return append(dst, o.text(&k)...)
	case keyBytes:
		return append(dst, o.bytes(&k)...)
	default:
		return binary.LittleEndian.AppendUint64(dst, o.word(&k))
	}
}

// Decode reads the key that src is, all of it. The key shares nothing with src.
// The error wraps [ErrKey], or is a [*KeyTooLongError].
func (o KeyOps[K]) Decode(src []byte) (k K, err error) {
	switch o.kind {
	case keyString:
		if len(src) > MaxKeyLen {
			return k, &KeyTooLongError{Len: len(src), Limit: MaxKeyLen}
		}
		*(*string)(unsafe.Pointer(&k)) = string(src)
	case keyBytes:
		if len(src) != o.size {
			return k, o.lengthError(len(src), o.size)
		}
		copy(o.bytes(&k), src)
	default:
		if len(src) != 8 {
			return k, o.lengthError(len(src), 8)
		}
		word := binary.LittleEndian.Uint64(src)
		if o.setWord(&k, word); o.word(&k) != word {
			return k, fmt.Errorf("key %s does not fit %T: %w", o.number(word), k, ErrKey)
		}
	}
	return k, nil
}

func (o KeyOps[K]) lengthError(got, want int) error {
	return fmt.Errorf("key of codec %s has %d bytes, want %d: %w", o.ID(), got, want, ErrKey)
}

func (o KeyOps[K]) number(word uint64) string {
	if o.kind == keySigned {
		return fmt.Sprint(int64(word))
	}
	return fmt.Sprint(word)
}

// own returns k in memory of its own: a string key may be cut from a buffer that its sender will not keep.
func (o KeyOps[K]) own(k K) K {
	if o.kind == keyString {
		*(*string)(unsafe.Pointer(&k)) = strings.Clone(o.text(&k))
	}
	return k
}

// The rest reads K as what its kind says it is. The constraint admits nothing else, and the language has no
// conversion from a type parameter whose types are as unlike as these.

func (o KeyOps[K]) text(k *K) string { return *(*string)(unsafe.Pointer(k)) }

func (o KeyOps[K]) bytes(k *K) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(k)), o.size) }

func (o KeyOps[K]) word(k *K) uint64 {
	p := unsafe.Pointer(k)
	switch {
	case o.size == 8:
		return *(*uint64)(p)
	case o.kind == keySigned && o.size == 4:
		return uint64(*(*int32)(p))
	case o.kind == keySigned && o.size == 2:
		return uint64(*(*int16)(p))
	case o.kind == keySigned:
		return uint64(*(*int8)(p))
	case o.size == 4:
		return uint64(*(*uint32)(p))
	case o.size == 2:
		return uint64(*(*uint16)(p))
	default:
		return uint64(*(*uint8)(p))
	}
}

// setWord stores the low bytes of word.
func (o KeyOps[K]) setWord(k *K, word uint64) {
	p := unsafe.Pointer(k)
	switch o.size {
	case 8:
		*(*uint64)(p) = word
	case 4:
		*(*uint32)(p) = uint32(word & math.MaxUint32)
	case 2:
		*(*uint16)(p) = uint16(word & math.MaxUint16)
	default:
		*(*uint8)(p) = uint8(word & math.MaxUint8)
	}
}
