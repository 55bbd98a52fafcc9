package azure_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sheaf-go/sheaf/backend/azure"
)

// TestTokenIsSentAndNotSeen: the server gets it, and neither an answer nor an error has it.
func TestTokenIsSentAndNotSeen(t *testing.T) {
	const token = "sv=2026&sig=hidden%3D"
	got := make(chan string, 1)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Ms-Request-Id", "1")
		got <- r.URL.RawQuery
	}))
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, h.URL+"/container/key?comp=x", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := azure.Send("?"+token, r)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	if query := <-got; query != "comp=x&"+token {
		t.Errorf("the server got %s, want comp=x&%s", query, token)
	}
	h.Close()
	again, err := azure.Send(token, r)
	if err == nil {
		t.Fatal("send to nobody: got no error", again.Body.Close())
	}
	for _, text := range []string{answer.Request.URL.String(), err.Error(), fmt.Sprintf("%#v", err)} {
		if strings.Contains(text, "hidden") {
			t.Errorf("the token is seen: %s", text)
		}
	}
}
