package s3

import (
	"errors"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

// Judge implements [driver.Connection]. Where the library makes one code of two answers, it looks at the server's own: a
// missing bucket and a wrong region are no missing objects, and a conflict is no loss.
func (c *connection) Judge(err error) driver.Verdict {
	var api smithy.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode() {
		case "NoSuchKey":
			return driver.Absent
		case "NotFound": // which the library makes of any answer that has no code
			if isHead(err) {
				return driver.Absent
			}
		case "PreconditionFailed":
			return driver.Taken
		case "InvalidRange":
			return driver.Beyond
		case "SlowDown":
			return driver.Throttled
		case "RequestTimeout", "InternalError": // with status 400, and in the body of an answer that began well
			return driver.Failed
		}
	}
	var response *awshttp.ResponseError
	if errors.As(err, &response) {
		return driver.OfStatus(response.HTTPStatusCode())
	}
	return driver.Unheard
}

// isHead reports whether an error is of a HEAD, whose answers have no body to say what is missing.
func isHead(err error) bool {
	var operation *smithy.OperationError
	return errors.As(err, &operation) && operation.Operation() == "HeadObject"
}
