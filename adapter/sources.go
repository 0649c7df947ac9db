package adapter

import (
	"errors"

	"github.com/google/go-dap"

	"kdap/session"
)

func source(s session.Source) *dap.Source {
	if s.Ref == 0 && s.Path == "" {
		return nil
	}
	out := &dap.Source{Name: session.Visible(s.Name), Path: s.Path, SourceReference: s.Ref}
	if s.Ref != 0 {
		switch {
		case s.From != "":
			out.Origin = "fetched from " + session.Visible(s.From)
		case s.Origin != "" && s.Why != "":
			out.Origin = "disassembly; no source file " + session.Visible(s.Origin) + " here: " + session.Visible(s.Why)
		case s.Origin != "":
			out.Origin = "disassembly; no source file " + session.Visible(s.Origin) + " here"
		default:
			out.Origin = "disassembly"
		}
	}
	return out
}

func onSource(a *Adapter, c *call, args dap.SourceArguments) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	ref := args.SourceReference
	if args.Source != nil && args.Source.SourceReference != 0 {
		ref = args.Source.SourceReference
	}
	if ref == 0 {
		return nil, errors.New("only texts that kdap makes are read through it: the source has no reference")
	}
	text, code, err := s.Text(c.ctx, ref)
	var failed *session.SourceError
	if errors.As(err, &failed) {
		c.then(func() { a.invalidate("stacks") }) // the frames have another text now
	}
	b := dap.SourceResponseBody{Content: session.Visible(text)}
	if code {
		b.MimeType = "text/x-asm"
	}
	return b, err
}

func onLoadedSources(a *Adapter, c *call, _ struct{}) (any, error) {
	s, err := a.need(c)
	if err != nil {
		return nil, err
	}
	files, err := s.Files(c.ctx)
	if err != nil {
		return nil, err
	}
	b := dap.LoadedSourcesResponseBody{Sources: []dap.Source{}}
	for _, f := range files {
		b.Sources = append(b.Sources, *source(f))
	}
	return b, nil
}
