package driver

import "net/http"

// Verdict says what an error of a request means for the object and for asking again.
type Verdict int

// The verdicts.
const (
	// Unheard: there is no answer. What was asked may have been done, or be done yet.
	Unheard Verdict = iota
	// Failed: the server failed, or was in conflict with itself. What was asked may have been done.
	Failed
	// Throttled: the server asks for patience.
	Throttled
	// Refused: the server did nothing, and would do nothing if it were asked again.
	Refused
	// Absent: there is no such object, in a bucket that is there.
	Absent
	// Taken: the object must not exist, and does.
	Taken
	// Beyond: the object ends before the range begins.
	Beyond
)

// OfStatus returns what an HTTP status means that needs no second look. A 404 does: a bucket, a server or a proxy that
// is not the right one answers so too, and must not look like a store without objects (I10).
func OfStatus(status int) Verdict {
	switch {
	case status == http.StatusPreconditionFailed:
		return Taken
	case status == http.StatusRequestedRangeNotSatisfiable:
		return Beyond
	case status == http.StatusTooManyRequests:
		return Throttled
	case status == http.StatusServiceUnavailable:
		return Throttled
	case status == http.StatusRequestTimeout, status == http.StatusConflict:
		return Failed
	case status >= 300 && status < 500:
		return Refused
	case status >= 500:
		return Failed
	}
	return Unheard
}
