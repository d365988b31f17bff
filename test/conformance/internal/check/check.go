// Package check contains the assertions of the specs. All end the test at once.
package check

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// NoError ends the test on an error.
func NoError(t testing.TB, err error, what string) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

// Equal ends the test if got is not want.
func Equal[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, not %v", what, quoted(got), quoted(want))
	}
}

// Same compares two lists without their order.
func Same[T cmp.Ordered](t testing.TB, what string, got, want []T) {
	t.Helper()
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		t.Fatalf("%s is %q, not %q", what, any(got), any(want))
	}
}

// True ends the test if the claim does not hold.
func True(t testing.TB, claim bool, format string, arguments ...any) {
	t.Helper()
	if !claim {
		t.Fatalf(format, arguments...)
	}
}

// Contains ends the test if the text lacks a part.
func Contains(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Fatalf("%s lacks %q: %q", what, part, text)
		}
	}
}

// Lacks ends the test if the text has the part.
func Lacks(t testing.TB, what, text, part string) {
	t.Helper()
	if strings.Contains(text, part) {
		t.Fatalf("%s has %q: %q", what, part, text)
	}
}

// Includes ends the test if a map lacks what another one holds.
func Includes(t testing.TB, what string, got, want map[string]string) {
	t.Helper()
	for key, value := range want {
		if found, ok := got[key]; !ok || found != value {
			t.Fatalf("%s lacks %s=%s: %v", what, key, value, got)
		}
	}
}

// Refused ends the test if the call succeeded, or if it failed because no runtime answered.
func Refused(t testing.TB, err error, what string) {
	t.Helper()
	switch {
	case err == nil:
		t.Fatalf("%s was accepted", what)
	case status.Code(err) == codes.DeadlineExceeded, status.Code(err) == codes.Unavailable:
		t.Fatalf("%s was not refused, but failed: %v", what, err)
	}
}

// Patience is how long a test waits for an expected event.
const Patience = time.Minute

// Eventually waits until the claim holds.
func Eventually(t testing.TB, what string, claim func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	for pause := 10 * time.Millisecond; !claim(); pause = min(2*pause, 200*time.Millisecond) {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, Patience)
		case <-time.After(pause):
		}
	}
}

func quoted(value any) any {
	if text, ok := value.(string); ok {
		return "\"" + text + "\""
	}
	return value
}
