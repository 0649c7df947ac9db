package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kdap/engine"
	"kdap/engine/dumptest/demo"
	"kdap/engine/list"
	"kdap/engine/memory"
	"kdap/engine/windows"
	"kdap/engine/windows/heap"
)

func demoCommand() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "demo",
		Short: "open the embedded demo dump and tell its story",
		Args:  cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			writeOnly := dir != ""
			if !writeOnly {
				cache, err := os.UserCacheDir()
				if err != nil {
					return statusError{exitFailed, fmt.Errorf("no cache folder: %w; name a folder with --write", err)}
				}
				dir = filepath.Join(cache, "kdap", "demo")
			}
			dump, symbols, err := demo.Write(dir)
			if err != nil {
				return statusError{exitFailed, err}
			}
			if writeOnly {
				fmt.Println(dump)
				return nil
			}
			t, err := engine.Open(c.Context(), dump, engine.Options{SymbolPath: symbols, ImagePath: symbols})
			if err != nil {
				return statusError{exitNoDump, err}
			}
			defer t.Close()
			if err := tellStory(c.Context(), os.Stdout, t.System); err != nil {
				return statusError{exitFailed, err}
			}
			howToOpen(os.Stdout, dump, symbols)
			return nil
		},
	}
	c.Flags().StringVar(&dir, "write", "", "only write the dump and its symbols into this folder")
	return c
}

// topProcesses is how many of the largest processes the story names.
const topProcesses = 4

// tellStory answers, from the dump, what someone asks who was handed it: what
// machine, why it stopped, what used the memory, and what that program does.
func tellStory(ctx context.Context, w io.Writer, sys *windows.System) error {
	facts := list.NewSystem(ctx, sys)
	uptime, err := sys.Uptime()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: Windows build %d, %d processors, %.0f MB of memory, up %v\n",
		facts.ComputerName, facts.Build, facts.CPUs, megabytes(facts.PresentPages), uptime.Round(time.Second))
	fmt.Fprintf(w, "stopped %s by %s (%v)\n\n", sys.CrashTime().Format("2006-01-02 15:04:05 UTC"), facts.BugCheck.Name, facts.BugCheck.Code)

	type sized struct {
		windows.Process
		commit uint64
	}
	var all []sized
	for p, err := range sys.ActiveProcesses(ctx) {
		if err != nil {
			return err
		}
		commit, err := p.CommitPages()
		if err != nil {
			return err
		}
		all = append(all, sized{p, commit})
	}
	slices.SortStableFunc(all, func(a, b sized) int { return cmp.Compare(b.commit, a.commit) })
	fmt.Fprintln(w, "largest commit charge:")
	for _, p := range all[:min(topProcesses, len(all))] {
		v := list.NewProcess(ctx, p.Process)
		fmt.Fprintf(w, "  %7.1f MB  %-16s pid %-5d %d threads\n", megabytes(p.commit), v.Name, value(v.PID), value(v.Threads))
	}
	if len(all) == 0 {
		return nil
	}
	return tellProcess(ctx, w, all[0].Process)
}

func tellProcess(ctx context.Context, w io.Writer, p windows.Process) error {
	v := list.NewProcess(ctx, p)
	fmt.Fprintf(w, "\n%s was started as  %s\n", v.Name, list.Visible(v.CommandLine))
	if text, count := commonText(ctx, p); count > 1 {
		fmt.Fprintf(w, "%d blocks of its memory hold a text like  %q\n", count, text)
	}
	if err := tellHeap(ctx, w, p); err != nil {
		return err
	}
	var busiest list.Stack
	var most int
	for t, err := range p.Threads(ctx) {
		if err != nil {
			return err
		}
		st := list.NewStack(ctx, list.OwnedThread{Process: p, Thread: t}, 0)
		own := 0
		for _, f := range st.Frames {
			if f.Kind == string(windows.UserFrame) && strings.EqualFold(f.Module+".exe", v.Name) {
				own++
			}
		}
		if own > most {
			busiest, most = st, own
		}
	}
	fmt.Fprintf(w, "its thread %d is deepest in the program's own code:\n", value(busiest.TID))
	for _, f := range busiest.Frames {
		if f.Kind != string(windows.UserFrame) {
			continue
		}
		at := ""
		if f.Source != "" {
			at = fmt.Sprintf("  [%s @ %d]", f.Source, f.Line)
		}
		fmt.Fprintf(w, "  %s!%s%s\n", f.Module, f.Symbol, at)
	}
	return nil
}

// tellHeap names the size that most of the process's heaps is busy blocks of.
func tellHeap(ctx context.Context, w io.Writer, p windows.Process) error {
	owner, err := heap.Of(p)
	if err != nil {
		return err
	}
	type kind struct{ heap, size uint64 }
	count, all := map[kind]uint64{}, uint64(0)
	var most kind
	for h, err := range owner.Heaps(ctx) {
		if err != nil {
			return err
		}
		for b, err := range h.Blocks(ctx) {
			if err != nil {
				return err
			}
			if !b.Busy {
				continue
			}
			k := kind{h.Address, b.Size}
			count[k]++
			all += b.Size
			if count[k]*k.size > count[most]*most.size {
				most = k
			}
		}
	}
	if all > 0 {
		fmt.Fprintf(w, "its heap %x has %d busy blocks of %#x bytes, %d %% of all that it took\n",
			most.heap, count[most], most.size, 100*count[most]*most.size/all)
	}
	return nil
}

// Bounds of commonText: what counts as a text among bytes, and how much memory
// is looked at.
const (
	shortestText = 16
	longestText  = 80
	textBytes    = 64 << 20
)

// commonText returns the text that the process's private memory holds most
// often, numbers in it apart: the blocks of a leak tend to begin alike.
func commonText(ctx context.Context, p windows.Process) (text string, count int) {
	space, err := p.Space()
	if err != nil {
		return "", 0
	}
	found := map[string]*texts{}
	var page [memory.PageSize]byte
	left := textBytes
	for v, err := range p.VADs(ctx) {
		if err != nil || v.Image() {
			continue
		}
		for va := v.Start; va < v.End && left > 0 && ctx.Err() == nil; va += memory.PageSize {
			if _, err := space.Read(va, page[:]); err == nil {
				left -= memory.PageSize
				countTexts(found, page[:])
			}
		}
	}
	for _, t := range found {
		if t.count > count || t.count == count && t.last < text {
			text, count = t.last, t.count
		}
	}
	return text, count
}

// texts are texts that differ in their digits only.
type texts struct {
	last  string
	count int
}

func countTexts(found map[string]*texts, b []byte) {
	start := 0
	for i := 0; i <= len(b); i++ {
		if i < len(b) && b[i] >= 0x20 && b[i] < 0x7f && i-start < longestText {
			continue
		}
		if i-start >= shortestText {
			form := strings.Map(withoutDigits, string(b[start:i]))
			if found[form] == nil {
				found[form] = &texts{}
			}
			found[form].last = string(b[start:i])
			found[form].count++
		}
		start = i + 1
	}
}

func withoutDigits(r rune) rune {
	if r >= '0' && r <= '9' {
		return -1
	}
	return r
}

func howToOpen(w io.Writer, dump, symbols string) {
	self, err := os.Executable()
	if err != nil {
		self = "kdap"
	}
	fmt.Fprintf(w, "\nAsk on:\n  %s shell %s --symbols %s\n", self, dump, symbols)
	fmt.Fprintf(w, "In VS Code: install the extension (make extension; code --install-extension vscode-extension/kdap.vsix),\n"+
		"run \"kdap: Open Crash Dump…\" and choose\n  %s\n", dump)
}

func megabytes(pages uint64) float64 { return float64(pages) * memory.PageSize / (1 << 20) }

func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}
