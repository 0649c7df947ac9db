package command

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"
)

func cmdRunaway() *Command {
	return &Command{
		Names: []string{"!runaway"}, Args: "[Flags]",
		Short: "show how long the threads of the process ran: 1 user, 2 kernel mode, 4 since their start",
		Run:   runRunaway,
	}
}

// runawayTables are the tables of !runaway by their flags.
var runawayTables = []struct {
	flag  uint64
	title string
	of    func(threadTimes) time.Duration
}{
	{1, "User Mode Time", func(t threadTimes) time.Duration { return t.user }},
	{2, "Kernel Mode Time", func(t threadTimes) time.Duration { return t.kernel }},
	{4, "Elapsed Time", func(t threadTimes) time.Duration { return t.elapsed }},
}

func runRunaway(ctx context.Context, s *Session, c *Call) error {
	flags, err := s.extensionNumberOr(c, 1)
	if err != nil {
		return err
	}
	type row struct {
		processThread
		times threadTimes
	}
	var rows []row
	for t, err := range s.debuggee.threads(ctx, s) {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		var times threadTimes
		if err == nil {
			times, err = t.times()
		}
		switch {
		case err == errNoThreadTimes:
			return Failf("ERROR: !runaway: extension exception 0x80004002.\n    \"Unable to get thread times - dumps may not have time information\"")
		case err != nil:
			s.incomplete(err)
			continue
		}
		rows = append(rows, row{t, times})
	}
	for _, table := range runawayTables {
		if flags&table.flag == 0 {
			continue
		}
		s.printf(" %s\n  Thread       Time\n", table.title)
		slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(table.of(b.times), table.of(a.times)) })
		for _, r := range rows {
			s.printf("%5d:%-8x %s\n", r.number, r.tid, runText(table.of(r.times)))
		}
	}
	return nil
}

// runText spells a time as "0 days 0:00:00.890".
func runText(d time.Duration) string {
	ms := max(d.Milliseconds(), 0)
	return fmt.Sprintf("%d days %d:%02d:%02d.%03d", ms/86_400_000, ms/3_600_000%24, ms/60_000%60, ms/1000%60, ms%1000)
}
