//go:build cloud

package main

// The drivers of clouds are linked by import, and only on demand: they make the program three times as large.
import (
	_ "github.com/sheaf-go/sheaf/backend/azure"
	_ "github.com/sheaf-go/sheaf/backend/gcs"
	_ "github.com/sheaf-go/sheaf/backend/s3"
)
