package command

import (
	"context"

	"kdap/engine/dump"
	"kdap/engine/memory"
)

// Black boxes are records of parts of the system that a dump keeps beside
// memory. What is in them differs from version to version and is described
// nowhere, so they are shown as bytes.
func blackBoxCommands() []*Command {
	var list []*Command
	for _, b := range blackBoxes {
		list = append(list, &Command{
			Names: []string{"!blackbox" + b.word}, Short: "show the black box of " + b.of,
			Run: func(ctx context.Context, s *Session, _ *Call) error { return s.showBlackBox(ctx, b) },
		})
	}
	return list
}

// A blackBox is one of those records: its tag, or the kernel's variable that
// holds it.
type blackBox struct{ word, of, tag, variable string }

var blackBoxes = []blackBox{
	{"bsd", "the boot status", "f57308df-cc45-4e01-ad76-29a4ebb010ec", "PopBlackBoxBsdGuid"},
	{"ntfs", "the file system", "00afe9c4-940d-4213-8016-cd3719b5bc20", "PopBlackBoxNtfsGuid"},
	{"pnp", "plug and play", "b7631941-532a-4cd6-b1b1-edb5917d4557", "PopBlackBoxPnpGuid"},
	{"winlogon", "logon", "80cc79cf-a719-4af1-bf97-fe29ff76ebc1", "PopBlackBoxWinLogonGuid"},
	{"scm", "the service control manager", "", "PopBlackBoxScmGuid"},
}

func (s *Session) showBlackBox(ctx context.Context, b blackBox) error {
	tags := map[string]bool{b.tag: true}
	if at, err := s.sys.Symbol(b.variable); err == nil {
		if raw, err := memory.ReadBytes(s.sys.Kernel(), at, len(dump.GUID{})); err == nil {
			tags[dump.GUID(raw).String()] = true
		}
	}
	shown := false
	for blob, err := range s.target.Dump.Blobs() {
		if err != nil {
			s.notef("%v", err)
		}
		if tag := blob.Tag.String(); tag == "" || !tags[tag] || len(blob.Data) == 0 {
			continue
		}
		shown = true
		s.printf("%s - %#x bytes\n", blob.Tag.EnumTag(), blob.Size)
		for off := 0; off < len(blob.Data); off += enumRow {
			if err := ctx.Err(); err != nil {
				return err
			}
			s.printf("%s", enumTagRow(blob.Data[off:min(off+enumRow, len(blob.Data))]))
		}
	}
	if !shown {
		return Failf("The dump has no black box of %s", b.of)
	}
	return nil
}
