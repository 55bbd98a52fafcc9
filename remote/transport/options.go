package transport

import (
	"math"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// window is what one end sends before the other has read, in bytes. It is fixed, so that what a peer can make this
	// end hold is known.
	window = 4 << 20
	// ioBuffer is what one read or write of a connection moves at most, in bytes.
	ioBuffer = 128 << 10
	// maxHeaders bounds the HTTP headers of a stranger, in bytes.
	maxHeaders = 16 << 10
)

// maxMessage bounds a message that comes: frames up to batchBytes, one more, acknowledgements.
func (t *Transport) maxMessage() int { return t.cfg.MaxFrame + 4*batchBytes }

func (t *Transport) serverOptions(creds credentials.TransportCredentials) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.Creds(creds),
		grpc.ForceServerCodecV2(codec{}),
		grpc.MaxRecvMsgSize(t.maxMessage()),
		grpc.MaxSendMsgSize(math.MaxInt32),
		grpc.MaxConcurrentStreams(1),
		grpc.MaxHeaderListSize(maxHeaders),
		grpc.ConnectionTimeout(2 * handshakeTime), // the listener's timer comes first, and knows why
		grpc.StaticStreamWindowSize(window),
		grpc.StaticConnWindowSize(window),
		grpc.ReadBufferSize(ioBuffer),
		grpc.WriteBufferSize(ioBuffer),
		// The pings of this end make both hear each other also while one of them reads no frames. gRPC's clients ping no
		// more often than every ten seconds, so that the other end does not: it watches for silence.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: aliveEvery, Timeout: silence - aliveEvery}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: aliveEvery / 2, PermitWithoutStream: true}),
		grpc.WaitForHandlers(true),
	}
}

func (t *Transport) dialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(codec{}), grpc.MaxCallRecvMsgSize(t.maxMessage()), grpc.MaxCallSendMsgSize(math.MaxInt32)),
		grpc.WithMaxHeaderListSize(maxHeaders),
		grpc.WithStaticStreamWindowSize(window),
		grpc.WithStaticConnWindowSize(window),
		grpc.WithReadBufferSize(ioBuffer),
		grpc.WithWriteBufferSize(ioBuffer),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableHealthCheck(),
		grpc.WithNoProxy(),
		grpc.WithIdleTimeout(0),
	}
}
