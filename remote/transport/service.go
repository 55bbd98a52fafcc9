package transport

import (
	"fmt"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
)

const (
	serviceName = "sheaf.Transport"
	streamName  = "Link"
)

// serviceDesc describes the one stream that instances speak over: messages of any bytes, both ways.
func serviceDesc(accept grpc.StreamHandler) *grpc.ServiceDesc {
	return &grpc.ServiceDesc{
		ServiceName: serviceName,
		HandlerType: (*any)(nil),
		Streams:     []grpc.StreamDesc{{StreamName: streamName, Handler: accept, ServerStreams: true, ClientStreams: true}},
	}
}

// stream is what both ends of it have in common.
type stream interface {
	SendMsg(m any) error
	RecvMsg(m any) error
}

// codec moves messages as they are: what is sent is a [mem.BufferSlice], what is received a pointer to one.
type codec struct{}

var _ encoding.CodecV2 = codec{}

func (codec) Name() string { return "sheaf" }

func (codec) Marshal(v any) (mem.BufferSlice, error) {
	if m, ok := v.(mem.BufferSlice); ok {
		return m, nil
	}
	return nil, fmt.Errorf("encode a message of type %T", v)
}

// Unmarshal hands over what was received. The receiver frees it.
func (codec) Unmarshal(data mem.BufferSlice, v any) error {
	m, ok := v.(*mem.BufferSlice)
	if !ok {
		return fmt.Errorf("decode a message of type %T", v)
	}
	data.Ref()
	*m = data
	return nil
}

// maxPooled is the largest buffer that is kept, in bytes: one of a larger frame is left to the garbage collector.
const maxPooled = 1 << 20

// buffers are reused encode buffers. gRPC puts them back when their bytes are written.
type buffers struct{ pool sync.Pool }

var _ mem.BufferPool = (*buffers)(nil)

// Get returns a buffer of that length; its content is anything.
func (p *buffers) Get(length int) *[]byte {
	b, _ := p.pool.Get().(*[]byte)
	if b == nil {
		b = new([]byte)
	}
	if cap(*b) < length {
		*b = make([]byte, length)
	}
	*b = (*b)[:length]
	return b
}

// Put takes a buffer back.
func (p *buffers) Put(b *[]byte) {
	if cap(*b) <= maxPooled {
		p.pool.Put(b)
	}
}

// message makes one of what was encoded into a buffer of this pool.
func (p *buffers) message(b *[]byte) mem.BufferSlice { return mem.BufferSlice{mem.NewBuffer(b, p)} }

// smallMessage makes a message of bytes of its own.
func smallMessage(b []byte) mem.BufferSlice { return mem.BufferSlice{mem.SliceBuffer(b)} }
