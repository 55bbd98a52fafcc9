package azure

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"gocloud.dev/blob/azureblob"

	"github.com/sheaf-go/sheaf/backend/internal/driver"
)

// account says where the service is and how to enter it: with a key, with a shared access signature, or, if there is
// neither, with the identity of the program.
type account struct {
	service string // the URL of the blob service
	name    string
	key     string
	token   func() (string, error) // the signature, read anew by each call
}

// findAccount reads the config, and what it leaves out from the environment.
func findAccount(t driver.Target) (account, error) {
	usual := azureblob.NewDefaultServiceURLOptions()
	if err := override(usual, t); err != nil {
		return account{}, err
	}
	var a account
	var err error
	if a, err = fromConfig(t); err != nil {
		return account{}, err
	}
	if a.key == "" && a.token == nil {
		a.enterBy(usual.SASToken)
	}
	a.name = cmp.Or(a.name, usual.AccountName)
	a.service = cmp.Or(t.Endpoint, a.service)
	if a.service == "" {
		usual.AccountName, usual.SASToken = a.name, ""
		service, err := azureblob.NewServiceURL(usual)
		if err != nil {
			return account{}, fmt.Errorf("set state.storage.endpoint, or access_key or AZURE_STORAGE_ACCOUNT: %w", err)
		}
		a.service = string(service)
	}
	if a.key != "" && a.name == "" {
		return account{}, errors.New("there is an account key and no account: set state.storage.access_key or AZURE_STORAGE_ACCOUNT")
	}
	return a, nil
}

// override applies the parameters of the URL.
func override(usual *azureblob.ServiceURLOptions, t driver.Target) error {
	usual.StorageDomain = cmp.Or(t.Query.Get("domain"), usual.StorageDomain)
	usual.Protocol = cmp.Or(t.Query.Get("protocol"), usual.Protocol)
	if text := t.Query.Get("localemu"); text != "" {
		local, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("parameter localemu=%s of the URL: want true or false", text)
		}
		usual.IsLocalEmulator = local
	}
	return nil
}

func fromConfig(t driver.Target) (account, error) {
	var a account
	for field, secret := range map[*string]func() (string, error){&a.name: t.AccessKey, &a.key: t.SecretKey} {
		if secret == nil {
			continue
		}
		value, err := secret()
		if err != nil {
			return account{}, err
		}
		*field = value
	}
	a.token = t.SessionToken
	return a, nil
}

// enterBy takes what the environment has: a key, a signature, or a connection string with either.
func (a *account) enterBy(signature string) {
	if a.key = os.Getenv("AZURE_STORAGE_KEY"); a.key != "" {
		return
	}
	text := cmp.Or(os.Getenv("AZURE_STORAGE_CONNECTION_STRING"), os.Getenv("AZURE_STORAGEBLOB_CONNECTIONSTRING"))
	if signature == "" {
		parts := map[string]string{}
		for part := range strings.SplitSeq(text, ";") {
			name, value, _ := strings.Cut(part, "=")
			parts[name] = value
		}
		a.service = parts["BlobEndpoint"]
		if a.service == "" && parts["EndpointSuffix"] != "" {
			a.service = cmp.Or(parts["DefaultEndpointsProtocol"], "https") + "://" + parts["AccountName"] + ".blob." + parts["EndpointSuffix"]
		}
		a.name = cmp.Or(a.name, parts["AccountName"])
		a.key, signature = parts["AccountKey"], parts["SharedAccessSignature"]
	}
	if a.key == "" && signature != "" {
		a.token = func() (string, error) { return signature, nil }
	}
}
