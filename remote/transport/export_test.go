package transport

import "google.golang.org/grpc"

// Bare are the options of a transport for a stream of one's own that is like its streams.
func (t *Transport) Bare() ([]grpc.ServerOption, []grpc.DialOption) {
	return t.serverOptions(nil), t.dialOptions()
}

// ServiceDesc describes the transport's stream, for one that is handled otherwise.
func ServiceDesc(handle grpc.StreamHandler) *grpc.ServiceDesc { return serviceDesc(handle) }

// Method is the path of that stream.
const Method = "/" + serviceName + "/" + streamName
