package vnode

import (
	"bytes"
	"cmp"
	"encoding"
	"encoding/binary"
	"math"
	"reflect"
	"slices"
	"strings"
	"unsafe"

	"github.com/fxamacker/cbor/v2"
)

// cborPlan writes and reads, an order of magnitude faster than the library and with the very same bytes, the
// states that most apps have: an integer, a bool, a string, bytes, or a struct of these.
type cborPlan []cborField

// cborField is a value of the plan. A plan for a lone value has one, with nothing in front.
type cborField struct {
	front  []byte // what stands before the value: the field's name, and before the first the head of the map
	offset uintptr
	kind   reflect.Kind // Slice is []byte
	bits   int          // of an integer
}

// CBOR major types, in the high bits of a value's first byte, and simple values.
const (
	cborUint  = 0 << 5
	cborNint  = 1 << 5
	cborBytes = 2 << 5
	cborText  = 3 << 5
	cborMap   = 5 << 5
	cborFalse = 0xf4
	cborTrue  = 0xf5
	cborNull  = 0xf6
)

// planOf returns the plan of T, or none where the library has a say: tags with options, embedded fields, types
// that encode themselves. As a last check the plan must write the zero T as the library does.
func planOf[T any](c *cborCodec[T]) cborPlan {
	var plan cborPlan
	t := reflect.TypeFor[T]()
	if t.Kind() == reflect.Struct && !encodesItself(t) {
		plan = planOfStruct(t)
	} else if f, ok := planOfValue(t); ok {
		plan = cborPlan{f}
	}
	var zero T
	want, err := c.library(nil, &zero)
	if err != nil || !bytes.Equal(plan.append(nil, unsafe.Pointer(&zero)), want) {
		return nil
	}
	return plan
}

func planOfStruct(t reflect.Type) cborPlan {
	var plan cborPlan
	for i := range t.NumField() {
		in := t.Field(i)
		tag := cmp.Or(in.Tag.Get("cbor"), in.Tag.Get("json"))
		f, ok := planOfValue(in.Type)
		if !ok || !in.IsExported() || in.Anonymous || tag == "-" || strings.Contains(tag, ",") {
			return nil
		}
		name := cmp.Or(tag, in.Name)
		f.front = append(appendHead(nil, cborText, uint64(len(name))), name...)
		f.offset = in.Offset
		plan = append(plan, f)
	}
	if len(plan) == 0 {
		return nil
	}
	slices.SortFunc(plan, func(a, b cborField) int { return bytes.Compare(a.front, b.front) })
	plan[0].front = append(appendHead(nil, cborMap, uint64(len(plan))), plan[0].front...)
	return plan
}

func planOfValue(t reflect.Type) (cborField, bool) {
	f := cborField{kind: t.Kind()}
	switch f.kind {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		f.bits = t.Bits()
	case reflect.Bool, reflect.String:
	default:
		return f, t == reflect.TypeFor[[]byte]()
	}
	return f, !encodesItself(t)
}

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[cbor.Marshaler](), reflect.TypeFor[cbor.Unmarshaler](),
		reflect.TypeFor[encoding.BinaryMarshaler](), reflect.TypeFor[encoding.BinaryUnmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return false
}

func (p cborPlan) append(dst []byte, base unsafe.Pointer) []byte {
	for i := range p {
		f := &p[i]
		dst = append(dst, f.front...)
		at := unsafe.Add(base, f.offset)
		switch f.kind {
		case reflect.Bool:
			dst = append(dst, cborFalse+*(*byte)(at))
		case reflect.String:
			s := *(*string)(at)
			dst = append(appendHead(dst, cborText, uint64(len(s))), s...)
		case reflect.Slice:
			dst = appendBytes(dst, *(*[]byte)(at))
		default:
			dst = f.appendInteger(dst, at)
		}
	}
	return dst
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return append(dst, cborNull)
	}
	return append(appendHead(dst, cborBytes, uint64(len(b))), b...)
}

func (f *cborField) appendInteger(dst []byte, at unsafe.Pointer) []byte {
	var x int64
	switch f.kind {
	case reflect.Int64:
		x = *(*int64)(at)
	case reflect.Int:
		x = int64(*(*int)(at))
	case reflect.Int32:
		x = int64(*(*int32)(at))
	case reflect.Int16:
		x = int64(*(*int16)(at))
	case reflect.Int8:
		x = int64(*(*int8)(at))
	default:
		return appendHead(dst, cborUint, f.unsigned(at))
	}
	if x < 0 {
		return appendHead(dst, cborNint, uint64(^x))
	}
	return appendHead(dst, cborUint, uint64(x))
}

func (f *cborField) unsigned(at unsafe.Pointer) uint64 {
	switch f.bits {
	case 64:
		return *(*uint64)(at)
	case 32:
		return uint64(*(*uint32)(at))
	case 16:
		return uint64(*(*uint16)(at))
	default:
		return uint64(*(*uint8)(at))
	}
}

// appendHead appends the first byte of a value and its argument in the shortest form.
func appendHead(dst []byte, major byte, n uint64) []byte {
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= math.MaxUint8:
		return append(dst, major|24, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, major|25), uint16(n))
	case n <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, major|27), n)
	}
}

// decode reports whether src is what append writes. If not, the library may still know better: fields that the
// type has gained or lost, a wider form of a number, or what exactly is wrong.
func (p cborPlan) decode(src []byte, base unsafe.Pointer) bool {
	for i := range p {
		rest, ok := bytes.CutPrefix(src, p[i].front)
		if !ok {
			return false
		}
		if src, ok = p[i].decode(rest, unsafe.Add(base, p[i].offset)); !ok {
			return false
		}
	}
	return len(src) == 0
}

func (f *cborField) decode(src []byte, at unsafe.Pointer) (rest []byte, ok bool) {
	if len(src) == 0 {
		return nil, false
	}
	switch {
	case f.kind == reflect.Bool:
		*(*bool)(at) = src[0] == cborTrue
		return src[1:], src[0] == cborTrue || src[0] == cborFalse
	case f.kind == reflect.Slice && src[0] == cborNull:
		return src[1:], true
	}
	major, n, rest, ok := cutHead(src)
	switch {
	case !ok:
		return nil, false
	case f.kind == reflect.String || f.kind == reflect.Slice:
		return f.decodeBytes(major, n, rest, at)
	default:
		return rest, f.decodeInteger(major, n, at)
	}
}

func (f *cborField) decodeBytes(major byte, n uint64, src []byte, at unsafe.Pointer) (rest []byte, ok bool) {
	switch {
	case n > uint64(len(src)):
		return nil, false
	case f.kind == reflect.String && major == cborText:
		*(*string)(at) = string(src[:n])
	case f.kind == reflect.Slice && major == cborBytes:
		*(*[]byte)(at) = append([]byte{}, src[:n]...)
	default:
		return nil, false
	}
	return src[n:], true
}

func (f *cborField) decodeInteger(major byte, n uint64, at unsafe.Pointer) bool {
	signed := f.kind <= reflect.Int64
	limit := uint64(math.MaxUint64) >> (64 - f.bits)
	if signed {
		limit >>= 1
	}
	if n > limit || major != cborUint && !(signed && major == cborNint) {
		return false
	}
	if major == cborNint {
		n = ^n
	}
	switch f.bits {
	case 64:
		*(*uint64)(at) = n
	case 32:
		*(*uint32)(at) = uint32(n)
	case 16:
		*(*uint16)(at) = uint16(n)
	default:
		*(*uint8)(at) = uint8(n)
	}
	return true
}

// cutHead reads what appendHead writes.
func cutHead(src []byte) (major byte, n uint64, rest []byte, ok bool) {
	major, n = src[0]&0xe0, uint64(src[0]&0x1f)
	if n < 24 {
		return major, n, src[1:], true
	}
	size := 1 << (n - 24)
	if n > 27 || len(src) < 1+size {
		return 0, 0, nil, false
	}
	n = 0
	for _, b := range src[1 : 1+size] {
		n = n<<8 | uint64(b)
	}
	return major, n, src[1+size:], true
}
