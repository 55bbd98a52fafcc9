package backend

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// An object's file is found at its key under the root, each segment written so that every file system can hold it and
// none is hidden: "%XX" stands for a byte that is "%", a control character or one of \:*?"<>| , for a dot in front
// (so the driver's own directory is nobody's key), for a dot or space at the end, and for the first letter of a name
// that Windows reserves; "%" alone stands for the empty segment. The keys of Sheaf itself are written as they are.
// On file systems that ignore case (the usual ones of macOS and Windows) keys must differ in more than case.

const hexDigits = "0123456789ABCDEF"

// fileName returns the path of a key under the root, with slashes.
func fileName(key string) string {
	segments := strings.Split(key, "/")
	for i, s := range segments {
		segments[i] = escapeSegment(s)
	}
	return strings.Join(segments, "/")
}

func escapeSegment(s string) string {
	if s == "" {
		return "%"
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if !mustEscape(s, i) {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hexDigits[c>>4], hexDigits[c&15]})
	}
	return b.String()
}

func mustEscape(s string, i int) bool {
	c := s[i]
	switch {
	case c < ' ', c == 0x7f, strings.IndexByte(`%\:*?"<>|`, c) >= 0:
		return true
	case i == 0 && (c == '.' || reservedName(s)):
		return true
	}
	return i == len(s)-1 && (c == '.' || c == ' ')
}

// reservedName reports whether Windows takes s for a device, with any extension.
func reservedName(s string) bool {
	base, _, _ := strings.Cut(s, ".")
	base = strings.ToUpper(strings.TrimRight(base, " "))
	if slices.Contains([]string{"CON", "PRN", "AUX", "NUL"}, base) {
		return true
	}
	return len(base) == 4 && (base[:3] == "COM" || base[:3] == "LPT") && base[3] >= '0' && base[3] <= '9'
}

// keySegment returns the segment of a key that a file or directory name stands for; false for a name that stands for
// none: what somebody else put there.
func keySegment(name string) (string, bool) {
	if name == "%" {
		return "", true
	}
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '%' {
			b.WriteByte(name[i])
			continue
		}
		if i+2 >= len(name) {
			return "", false
		}
		high, low := strings.IndexByte(hexDigits, name[i+1]), strings.IndexByte(hexDigits, name[i+2])
		if high < 0 || low < 0 {
			return "", false
		}
		b.WriteByte(byte(high<<4 | low))
		i += 2
	}
	s := b.String()
	return s, utf8.ValidString(s) && !strings.Contains(s, "/") && escapeSegment(s) == name
}
