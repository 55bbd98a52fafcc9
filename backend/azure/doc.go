// Package azure links the driver.
package azure
