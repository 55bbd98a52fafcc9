// Package s3 links the driver for stores on Amazon S3, and on every server that speaks its protocol and honours
// If-None-Match:
//
//	import _ "github.com/sheaf-go/sheaf/backend/s3"
//
//	[state]
//	backend = "object_store"
//	url = "s3://bucket/prefix"
//	[state.storage]                                        # what is left out comes from the environment
//	endpoint = "http://10.0.0.5:9000"                      # AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL; none: Amazon's
//	region = "eu-central-1"                                # AWS_REGION, or the profile
//	path_style = true                                      # most servers of one's own need it
//	access_key = { env = "STORE_KEY" }                     # AWS_ACCESS_KEY_ID, and all else that the AWS SDK
//	secret_key = { file = "/run/secrets/store" }           # AWS_SECRET_ACCESS_KEY  looks at: profiles, web
//	session_token = { file = "/run/secrets/token" }        # AWS_SESSION_TOKEN      identity, the instance's role
//
// Keys given so are read again every five minutes, so that temporary ones can be replaced. The URL takes these
// parameters, none of them a secret; what a parameter and an option both say is an error:
//
//	endpoint region use_path_style      as the options
//	hostname_immutable                  the endpoint is the bucket's own
//	disable_https                       http to Amazon's endpoint
//	profile                             of the AWS configuration
//	ssetype kmskeyid                    encryption of what is written
//	request_checksum_calculation, response_checksum_validation = when_required    for servers without checksums
//
// It needs s3:GetObject, s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload on the objects under the prefix, and
// s3:ListBucket on the bucket: without the last an absent object is answered like a forbidden one, and is an error. With
// encryption by a key it needs kms:GenerateDataKey and kms:Decrypt. No lifecycle rule may expire objects under the
// prefix; one that aborts incomplete uploads after a day is good. Directory buckets, whose lists have no order, are no
// place for a store.
//
// Objects above 16 MiB are written in parts, with the condition on the last request. A delete is two requests.
package s3
