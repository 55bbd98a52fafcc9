// Package azure links the driver for stores on Azure Blob Storage:
//
//	import _ "github.com/sheaf-go/sheaf/backend/azure"
//
//	[state]
//	backend = "object_store"
//	url = "azblob://container/prefix"
//	[state.storage]                                        # what is left out comes from the environment
//	access_key = "account"                                 # AZURE_STORAGE_ACCOUNT: the account's name
//	secret_key = { file = "/run/secrets/key" }             # AZURE_STORAGE_KEY: an account key
//	session_token = { file = "/run/secrets/sas" }          # AZURE_STORAGE_SAS_TOKEN: a shared access signature
//	endpoint = "https://account.blob.core.windows.net"     # AZURE_STORAGE_DOMAIN, _PROTOCOL, _IS_CDN, _IS_LOCAL_EMULATOR
//
// The endpoint is the URL of the blob service with the account in it, which connection strings call BlobEndpoint; that
// of an emulator is http://127.0.0.1:10000/account. A key comes before a signature, the config's before the
// environment's. AZURE_STORAGE_CONNECTION_STRING is read for what neither has. Without any of them the program
// enters by its identity: AZURE_CLIENT_ID and what else Azure's identity library looks at. A signature in a file is read
// again for each request, so that it can be replaced. It is not part of any URL that an error or a log shows.
//
// The URL takes the parameters protocol, domain and localemu, for the environment's variables of those names.
//
// It needs the role Storage Blob Data Contributor on the container, or a signature with the permissions to read, create,
// write, delete and list (sp=rcwdl, sr=c). No lifecycle rule or immutability policy may touch blobs under the prefix.
//
// Objects above 8 MiB are written in blocks, with the condition on the last request. Where a key holds a percent sign or
// another character that Azure does not keep as it is, a list is not in the order of keys; Sheaf's own hold none.
package azure
