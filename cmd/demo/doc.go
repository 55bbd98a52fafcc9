// Demo shows Sheaf at work on real data: flights of US airlines, counted by airport or by route and day, exactly once
// whatever crashes.
//
//	demo               the built-in sample, state in memory
//	demo run           any input, any state; run again on a state, it goes on where the last sealed epoch ended
//	demo cluster       the same by several processes of this machine; with --dynamic they may come, go and die
//	demo node          one member of a cluster, as a config file says; configs/ has some
//	demo certs         an authority and certificates for the members of a cluster
//	demo inspect       what the newest record of a state says
//	demo verify        whether everything that a state retains is whole
//	demo export        all keys of an epoch
//	demo pin, unpin    keep an epoch under a name, and let it go again; inspect lists the pins
//	demo gc            delete what nothing reaches; with --dry-run, show what that is
//
// Each command prints its flags with -h. The exit code is 0, 1 for a failure, 2 for a wrong command line, and 128 plus
// the number of the signal that ended a run early, which then has sealed what it read. A second signal ends it at once;
// then, as after a crash, the next run reads again what was not sealed. A member of a cluster cannot seal without the
// others: it waits ten seconds for them, and says so if they did not do it. One of an elastic cluster leaves it at a signal,
// and exits with 0.
package main
