package azure

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// sender sends requests. A shared access signature is put on a request's URL here and nowhere before, and is taken off
// what comes back: so no error and no log of the library can show it.
type sender struct {
	client *http.Client
	token  func() (string, error) // nil: there is none
}

// Do implements [policy.Transporter].
func (s *sender) Do(r *http.Request) (*http.Response, error) {
	signed, err := s.sign(r)
	if err != nil {
		return nil, err
	}
	answer, err := s.client.Do(signed)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			failed.URL, _, _ = strings.Cut(failed.URL, "?")
		}
		return nil, err
	}
	answer.Request = r
	if answer.StatusCode < 300 && answer.Header.Get("x-ms-request-id") == "" { // the library counts on what it may lack
		_ = answer.Body.Close()
		return nil, fmt.Errorf("%s: the answer, %s, is not one of a blob service", r.URL.Host, answer.Status)
	}
	return answer, nil
}

func (s *sender) sign(r *http.Request) (*http.Request, error) {
	if s.token == nil {
		return r, nil
	}
	token, err := s.token()
	if err != nil {
		return nil, err
	}
	signed := r.WithContext(r.Context())
	target := *r.URL
	target.RawQuery = strings.Trim(target.RawQuery+"&"+strings.TrimPrefix(token, "?"), "&")
	signed.URL = &target
	return signed, nil
}
