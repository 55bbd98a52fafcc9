package sheaftest

// Option changes how a check is run.
type Option func(*options)

type options struct {
	seed   uint64
	runs   int
	events int
}

func optionsOf(given []Option, standard options) options {
	for _, set := range given {
		set(&standard)
	}
	return standard
}

// Seed sets where chance begins; default 1. A failing check prints the seed that finds the failure at once.
func Seed(n uint64) Option { return func(o *options) { o.seed = n } }

// Runs sets how often a check is repeated, each time with the next seed; default 100 for [Laws], 10 for [Simulate].
func Runs(n int) Option { return func(o *options) { o.runs = n } }

// Events sets how many events [Laws] draws at most in a run; default 60.
func Events(n int) Option { return func(o *options) { o.events = n } }
