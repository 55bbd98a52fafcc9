package vnode

// Codec writes and reads the state of a key. It must be canonical: equal values have equal bytes.
// Many vnodes use one codec at once.
type Codec[T any] interface {
	// ID names the encoding. It stands in the identity of a store, which no other id opens.
	ID() string
	// Append appends the encoding of v to dst.
	Append(dst []byte, v *T) ([]byte, error)
	// Decode reads into v, which is zero, the value that src is, all of it. v must not alias src.
	Decode(src []byte, v *T) error
}
