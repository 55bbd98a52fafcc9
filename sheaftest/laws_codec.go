package sheaftest

import (
	"strings"

	"github.com/sheaf-go/sheaf"
)

// encodings is how often a value is encoded to see whether its bytes stay the same: maps are walked at random.
const encodings = 8

// checkCodec checks what Sheaf relies on in a codec, on one value.
func checkCodec[T any](what string, c sheaf.Codec[T], v *T) error {
	b, err := encode(what, c, v)
	if err != nil {
		return err
	}
	back, err := decode(what, c, b)
	if err != nil {
		return err
	}
	if !same(*v, *back) {
		return broken("a "+what+" that was encoded and decoded is the same", "%+v came back as %+v", *v, *back)
	}
	for range encodings {
		for _, x := range []*T{v, back} {
			if again, err := encode(what, c, x); err != nil || again != b {
				return broken("equal "+what+"s have equal bytes", "%+v is encoded as %x, and then as %x (%v)", *x, b, again, err)
			}
		}
	}
	return checkBytes(what, c, v, b)
}

// checkBytes checks how a codec treats the bytes that it is given.
func checkBytes[T any](what string, c sheaf.Codec[T], v *T, b string) error {
	const before = "before"
	var longer []byte
	err := guarded("the encoder of "+what+"s", func() (err error) {
		longer, err = c.Append([]byte(before), v)
		return err
	})
	if got, found := strings.CutPrefix(string(longer), before); err != nil || !found || got != b {
		return broken("the encoder of "+what+"s appends", "%+v behind %q became %x (%v), want it followed by %x", *v, before, longer, err, b)
	}
	src, back := []byte(b), new(T)
	if err := guarded("the decoder of "+what+"s", func() error { return c.Decode(src, back) }); err != nil {
		return err
	}
	for i := range src {
		src[i] ^= 0xff
	}
	if again, err := encode(what, c, back); err != nil || again != b {
		return broken("a decoded "+what+" shares nothing with the bytes", "%x, decoded and then overwritten, is encoded as %x (%v)", b, again, err)
	}
	return nil
}
