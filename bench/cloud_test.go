//go:build cloud

package bench_test

// The drivers of object stores, for -failover.url.
import (
	_ "github.com/sheaf-go/sheaf/backend/azure"
	_ "github.com/sheaf-go/sheaf/backend/gcs"
	_ "github.com/sheaf-go/sheaf/backend/s3"
)
