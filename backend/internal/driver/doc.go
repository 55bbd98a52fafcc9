// Package driver is the seam between backend and the packages that link the drivers of clouds: s3, gcs and azure. Each
// of them registers how to connect to a bucket under the scheme of its URLs, when it is imported. Backend finds it
// there, and links none itself.
package driver
