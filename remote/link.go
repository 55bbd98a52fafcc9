package remote

// linked makes the transport that the program links; nil without one. Only an init function writes it.
var linked func(TransportConfig) (Transport, error) //nolint:gochecknoglobals // linking by import needs a place

// Register links a transport. It is for init functions.
func Register(open func(TransportConfig) (Transport, error)) { linked = open }

// NewTransport makes a transport of the kind that the program links; [ErrNotLinked] without one. It listens when this
// returns, and may have called the handler.
func NewTransport(cfg TransportConfig) (Transport, error) {
	if linked == nil {
		return nil, ErrNotLinked
	}
	return linked(cfg)
}
