// Package flights is the demo's subject: flights of US airlines, two jobs on them, and how both are read and shown.
//
//	Input ── rows in file order, decoded once ──▶ Partition i of n (rows i, i+n, i+2n, …) ──▶ Flight
//	Flight ──▶ BoardState by origin, folded into a Board
//	       └─▶ RouteDayState by origin, destination and date, folded into a RouteDays
//	Board or RouteDays, with its epoch and cut ──▶ BoardFile or RouteDaysFile, the JSON of --out
//
// An [Input] is a CSV file, plain or compressed with zstd, with the columns time,origin,destination,delay,distance
// (a header line names them and is no row). It is read strictly: a line that is not exactly a row is an error that names the file,
// the line and the column; so is a file without rows and one whose last line does not end, since it may have been cut off.
//
// The built-in [Sample] holds every domestic flight of January 2001, 508,239 rows, from the on-time performance data of the US Department of
// Transportation, Bureau of Transportation Statistics. A work of the US government, it is in the public domain.
//
// The functions of the jobs are pure and deterministic: the same rows give the same states, results and bytes.
package flights
