// Package gcs links the driver.
package gcs
