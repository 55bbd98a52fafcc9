package gossip

import (
	"log"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// samePerMinute bounds lines of one text: a stranger can cause as many as it likes.
const samePerMinute = 5

// lines takes memberlist's log apart. A line is "[WARN] memberlist: what happened from=10.0.0.1:7946".
type lines struct {
	log         *zap.Logger
	undecrypted func(from string) // is told of what no key decrypts
}

// bridge returns a logger for memberlist.
func bridge(to *zap.Logger, undecrypted func(from string)) *log.Logger {
	return log.New(lines{undecrypted: undecrypted, log: to.WithOptions(zap.WrapCore(func(c zapcore.Core) zapcore.Core {
		return zapcore.NewSamplerWithOptions(c, time.Minute, samePerMinute, 0)
	}))}, "", 0)
}

func (l lines) Write(line []byte) (int, error) {
	prefix, text, ok := strings.Cut(strings.TrimSpace(string(line)), "] ")
	level := zapcore.WarnLevel
	if !ok {
		text = prefix
	}
	switch prefix {
	case "[DEBUG":
		level = zapcore.DebugLevel
	case "[INFO":
		level = zapcore.InfoLevel
	case "[ERR", "[ERROR":
		level = zapcore.ErrorLevel
	}
	if strings.Contains(text, " refused: ") || strings.Contains(text, "use of closed network connection") {
		level = zapcore.DebugLevel // the one is logged by us, the other is the end
	}
	text, from, _ := strings.Cut(strings.TrimPrefix(text, "memberlist: "), " from=")
	if strings.Contains(text, "no installed keys could decrypt") {
		l.undecrypted(from)
	}
	if e := l.log.Check(level, text); e != nil {
		e.Write(zap.String("from", from))
	}
	return len(line), nil
}
