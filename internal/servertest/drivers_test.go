//go:build cloud

package servertest_test

import (
	_ "github.com/sheaf-go/sheaf/backend/azure"
	_ "github.com/sheaf-go/sheaf/backend/gcs"
	_ "github.com/sheaf-go/sheaf/backend/s3"
)
