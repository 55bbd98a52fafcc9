// Package bench measures Sheaf through its public API, each figure next to the limit that it is judged by, taken in the
// same run:
//
//	go test -bench . -benchtime 1x ./bench/...          in a minute or so
//	go test -bench . -benchtime 1x ./bench/... -full    longer windows, more rounds
//
//	BenchmarkIngest   ns/record from a source and from a producer, with nothing durable and with epochs of 1 s to a
//	                  local store; limits: a plain loop over 256 Go maps with the same hash, and two such loops at once
//	BenchmarkBarrier  what an epoch costs those who send: pause of a vnode, time without an applied event
//	BenchmarkEpoch    bytes written per changed byte, requests per epoch by kind
//	BenchmarkCost     requests by kind and bytes per epoch of 1, 3 and 16 instances, and dollars a month on S3
//	BenchmarkRestore  MB/s of Open; limit: a plain read of the same files; RestoreRemote: of ranges read at once from a
//	                  store that takes 20 ms for each request; limit: the same, one after another
//	BenchmarkIdle     memory, goroutines and CPU of an instance that does nothing, and the time to open it; limit: a
//	                  process without one
//	BenchmarkBetweenProcesses
//	                  ns/record to vnodes of another process; limit: the same in one
//	BenchmarkFailover kill -9 of a member until the next sealed epoch, by phases, and for how long vnodes stop that move;
//	                  -failover.mb, -failover.kills and, with -tags cloud, -failover.url say how much, how often and where
//
// What is compared is measured in turns, round after round, and the median is reported: a machine that is slow for a
// while is slow for both. Ratios are medians of the ratios of single rounds.
package bench
