package azure

import "net/http"

// Send sends a request as the connections do, signed with a token.
func Send(token string, r *http.Request) (*http.Response, error) {
	s := &sender{client: http.DefaultClient, token: func() (string, error) { return token, nil }}
	return s.Do(r)
}
