package vnode

import (
	"bytes"
	"unsafe"

	"github.com/fxamacker/cbor/v2"
)

// CBOR returns the codec that is used where an app names none: CBOR in its core deterministic encoding (RFC
// 8949, section 4.2), with the field names and tags of package cbor. Its id is "cbor".
//
// A time is written with nanoseconds and its zone's offset. A state that holds an interface value comes back with the
// types that package cbor chooses.
func CBOR[T any]() Codec[T] {
	enc := cbor.CoreDetEncOptions()
	enc.Time = cbor.TimeRFC3339Nano
	// What can be written must be readable, so the limits that guard against strangers' bytes are wide open:
	// segments carry digests.
	dec := cbor.DecOptions{
		MaxArrayElements: 1<<31 - 1,
		MaxMapPairs:      1<<31 - 1,
		MaxNestedLevels:  1<<16 - 1,
		UTF8:             cbor.UTF8DecodeInvalid,
	}
	c := &cborCodec[T]{enc: must(enc.UserBufferEncMode()), dec: must(dec.DecMode())}
	c.plan = planOf[T](c)
	return c
}

// must is for options that are constants.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

type cborCodec[T any] struct {
	enc  cbor.UserBufferEncMode
	dec  cbor.DecMode
	plan cborPlan // empty: the library does it all
}

func (c *cborCodec[T]) ID() string { return "cbor" }

func (c *cborCodec[T]) Append(dst []byte, v *T) ([]byte, error) {
	if len(c.plan) > 0 {
		return c.plan.append(dst, unsafe.Pointer(v)), nil
	}
	return c.library(dst, v)
}

func (c *cborCodec[T]) library(dst []byte, v *T) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := c.enc.MarshalToBuffer(v, buf); err != nil {
		return dst, err
	}
	return buf.Bytes(), nil
}

func (c *cborCodec[T]) Decode(src []byte, v *T) error {
	if len(c.plan) > 0 {
		if c.plan.decode(src, unsafe.Pointer(v)) {
			return nil
		}
		var zero T
		*v = zero
	}
	return c.dec.Unmarshal(src, v)
}
