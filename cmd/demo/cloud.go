//go:build cloud

package main

// The drivers of object stores make the program several times as large: they are linked with -tags cloud.
import (
	_ "github.com/sheaf-go/sheaf/backend/azure"
	_ "github.com/sheaf-go/sheaf/backend/gcs"
	_ "github.com/sheaf-go/sheaf/backend/s3"
)
