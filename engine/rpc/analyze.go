package rpc

import (
	"context"
	"strings"

	"kdap/engine/analyze"
	"kdap/engine/list"
	"kdap/engine/memory"
	"kdap/engine/windows"
)

// AnalyzeResult answers "analyze": what the bug check says, and who is to blame.
type AnalyzeResult struct {
	BugCheck
	Description string          `json:"description,omitempty"`
	Details     []AnalyzeDetail `json:"details"`
	Thread      Thread          `json:"thread,omitempty"` // whose stack shows the crash, where it is not the crashing one
	Process     string          `json:"process,omitempty"`
	Symbol      string          `json:"symbol,omitempty"` // of the code that is to blame; absent when nobody is
	Module      string          `json:"module,omitempty"`
	Image       string          `json:"image,omitempty"`
	Address     Hex             `json:"address,omitempty"`
	Sure        bool            `json:"sure,omitempty"` // false: only what is left, or who noticed
	Why         string          `json:"why,omitempty"`
	Bucket      string          `json:"bucket,omitempty"`
	Next        []string        `json:"next,omitempty"`    // commands worth running, with what they tell
	Missing     []string        `json:"missing,omitempty"` // what could not be read
}

// An AnalyzeDetail is one more fact, labelled as "!analyze -v" does.
type AnalyzeDetail struct {
	Label string `json:"label"`
	Text  string `json:"text"`
}

func onAnalyze(_ *client, ctx context.Context, t *target, _ struct{}) (any, error) {
	r := AnalyzeResult{BugCheck: t.bugCheck(), Details: []AnalyzeDetail{}}
	if t.System.User() != nil {
		a, err := analyze.NewUser(ctx, t.System, false)
		if err != nil && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			r.Process = list.Visible(t.System.User().Name())
			r.verdict(a)
		}
		return r, nil // without an exception there is nothing to explain
	}
	code, params := analyze.Code(t.System)
	if !analyze.Describe(code, params).Recorded() {
		return r, nil // nothing crashed that a bug check explains
	}
	space, modules := t.crashed(ctx, &r)
	a := analyze.New(ctx, t.System, space, modules)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	r.fill(a)
	return r, nil
}

// crashed returns the memory and modules of the process that crashed.
func (t *target) crashed(ctx context.Context, r *AnalyzeResult) (memory.Space, *windows.ModuleSet) {
	p := t.crashPlace().process
	if p.Addr() == 0 {
		return t.System.Kernel(), t.System.KernelModules(ctx)
	}
	if name, err := p.ImageName(); err == nil {
		r.Process = list.Visible(name)
	}
	space, err := p.Space()
	if err != nil {
		space = t.System.Kernel()
	}
	return space, p.Modules(ctx)
}

func (r *AnalyzeResult) fill(a *analyze.Report) {
	b := windows.BugCheck{Code: a.Code}
	for i, arg := range a.Args {
		b.Params[i] = arg.Value
	}
	r.BugCheck = BugCheck{BugCheck: list.NewBugCheck(b), Manual: a.Deliberate()}
	r.Name = a.Name
	for _, arg := range a.Args {
		r.Meaning = append(r.Meaning, arg.Meaning)
	}
	r.Description = strings.Join(a.Description, " ")
	r.verdict(a)
}

// verdict says who is to blame, and what else is known.
func (r *AnalyzeResult) verdict(a *analyze.Report) {
	for _, d := range a.Details {
		r.Details = append(r.Details, AnalyzeDetail{d.Label, list.Visible(d.Text)})
	}
	if a.Thread != 0 {
		r.Thread = Thread(Hex(a.Thread).String())
	}
	if f, ok := a.Culprit(); ok {
		r.Symbol, r.Module, r.Image, r.Address = list.Visible(f.Symbol()), list.Visible(f.Module), list.Visible(f.Image), Hex(f.IP)
	}
	r.Sure, r.Why, r.Bucket, r.Next = a.Sure, a.Why, a.Bucket, a.Next
	for _, err := range a.Missing {
		r.Missing = append(r.Missing, err.Error())
	}
	if a.StackErr != nil {
		r.Missing = append(r.Missing, "the stack: "+a.StackErr.Error())
	}
}
