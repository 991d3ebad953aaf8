package softlayer

import (
	"context"
	"fmt"
	"strings"

	"github.com/luksimg/luksimg/ibm/audit"
)

// A step is a step of a transaction.
type step struct {
	name, words string
	do          func(context.Context) error
}

// stopped is the failure reason of transactions that were running when the emulator stopped.
const stopped = "the emulator was stopped: import or order again"

func (t *transaction) fail(reason string) {
	t.Failed = true
	t.Words = fmt.Sprintf("%s: %s", t.Words, reason)
	t.Name += "_FAILED"
}

// run executes the steps of t in the background. Then it calls end with the lock held, and sends
// the returned event to the sink. It removes the strings returned by secrets, if not nil, from the
// reason of a failure.
func (s *Server) run(t *transaction, steps []step, secrets func() []string, end func(failure string) audit.Event) {
	t.Name, t.Words = steps[0].name, steps[0].words
	s.work.Go(func() {
		failure := ""
		for _, st := range steps {
			s.mu.Lock()
			t.Name, t.Words = st.name, st.words
			s.mu.Unlock()
			err := s.pause()
			if err == nil {
				err = st.do(s.ctx)
			}
			if err != nil {
				failure = err.Error()
				if s.ctx.Err() != nil {
					failure = stopped
				}
				if secrets != nil {
					failure = redact(failure, secrets())
				}
				break
			}
		}
		s.mu.Lock()
		if failure != "" {
			t.fail(failure)
		}
		event := end(failure)
		// Send the event before the transaction appears completed.
		if s.opts.Events != nil {
			s.opts.Events(event)
		}
		s.mu.Unlock()
	})
}

func redact(text string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			text = strings.ReplaceAll(text, secret, "[redacted]")
		}
	}
	return text
}

// pause waits for the duration of a step.
func (s *Server) pause() error {
	if s.opts.StepTime <= 0 {
		return s.ctx.Err()
	}
	select {
	case <-s.opts.Clock.After(s.opts.StepTime):
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

func upper(s string) string { return strings.ToUpper(strings.ReplaceAll(s, " ", "_")) }
