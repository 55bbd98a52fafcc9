// Package gcs links the driver for stores on Google Cloud Storage:
//
//	import _ "github.com/sheaf-go/sheaf/backend/gcs"
//
//	[state]
//	backend = "object_store"
//	url = "gs://bucket/prefix"
//	[state.storage]                                        # what is left out comes from the environment
//	credentials = { file = "/run/secrets/account.json" }   # GOOGLE_APPLICATION_CREDENTIALS, gcloud, the machine's account
//	endpoint = "http://127.0.0.1:4443"                     # STORAGE_EMULATOR_HOST, without a scheme; none: Google's
//
// The option takes the key of a service account; the environment, whatever Google's libraries take. A URL with
// ?anonymous=true asks without credentials, as STORAGE_EMULATOR_HOST does where no endpoint is given.
//
// It needs the role Storage Object User on the bucket, which grants storage.objects.get, list, create, update and
// delete. No lifecycle rule, retention policy or hold may touch objects under the prefix.
//
// An object is written in one request, of whatever size. The caller's own bucket (Store.Bucket of backend) retries as
// Google's library does: until the context of a request ends. Give it a deadline.
package gcs
