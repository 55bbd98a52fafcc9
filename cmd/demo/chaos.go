package main

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// harm is what is done to a random member again and again.
type harm struct {
	what  string        // killing or stopping
	every time.Duration // from one to the next
}

func (h harm) String() string { return fmt.Sprintf("%s %v", h.what, h.every) }

const (
	killing  = "kill" // SIGKILL; it is started again soon
	stopping = "stop" // SIGSTOP, and after three times as long SIGCONT
)

// Times of chaos.
const (
	soonestHarm = 100 * time.Millisecond
	stopFactor  = 3
	harmTimes   = 6           // that the rarest harm is to come, unless it takes
	chaosTime   = time.Minute // longer
)

const aboutChaos = "`what` is done to random members, like \"kill 5s, stop 20s\" or kill=5s,stop=20s: one is killed every 5s, " +
	"and one stopped 20s after the last went on, for three times as long; " +
	"without --rate the pace is one at which that comes some times before all is counted"

// parseChaos reads a list of harms. The error says of each that is wrong what it is and what is wanted.
func parseChaos(text string) (all []harm, err error) {
	if text == "" {
		return nil, nil
	}
	var errs []error
	for each := range strings.SplitSeq(text, ",") {
		h, err := parseHarm(each)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, h)
	}
	return all, errors.Join(errs...)
}

func parseHarm(text string) (harm, error) {
	words := strings.Fields(strings.Replace(text, "=", " ", 1))
	if len(words) != 2 || (words[0] != killing && words[0] != stopping) {
		return harm{}, fmt.Errorf("--chaos %q: want %s or %s and a time, as in %q", text, killing, stopping, "kill 5s, stop 20s")
	}
	every, err := time.ParseDuration(words[1])
	if err != nil || every < soonestHarm {
		return harm{}, fmt.Errorf("--chaos %q: want a time of %v or more", text, soonestHarm)
	}
	if words[0] == stopping && !canStop {
		return harm{}, fmt.Errorf("--chaos %q: on this system no process can be stopped", text)
	}
	return harm{words[0], every}, nil
}

// timeFor is how long the rows are to last for the rarest harm to come often, or at least once.
func timeFor(harms []harm) time.Duration {
	var rarest time.Duration
	for _, h := range harms {
		rarest = max(rarest, h.every)
	}
	return max(min(harmTimes*rarest, chaosTime), 2*rarest)
}
