// Package s3 links the driver for s3:// stores, of Amazon S3 and of every server that speaks its protocol:
//
//	import _ "github.com/sheaf-go/sheaf/backend/s3"
package s3
