package command

import (
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// A damaged dump has one reason for a thousand gaps, and a walk over all
// processes meets each of them. A noteFilter hands on the first notes of a kind
// and counts the rest: what a reader can take in at the place, and how much
// there is of it at the end. The gaps themselves are marked in the output, and
// the same command for one object tells that one's reasons.
type noteFilter struct {
	note  func(text string)
	seen  map[uint64]int // by text and by form
	held  map[uint64]*heldNotes
	total int
	over  int // notes of kinds too many to count apart
}

// heldNotes are those of one form that were not handed on.
type heldNotes struct {
	first string
	count int
}

// How many notes a command line gives: of the same text, of texts that differ
// only in their numbers, and in all.
const (
	maxSameNotes  = 2
	maxAlikeNotes = 12
	maxNotes      = 200
)

var noteSeed = maphash.MakeSeed()

func newNoteFilter(note func(string)) *noteFilter {
	return &noteFilter{note: note, seen: map[uint64]int{}, held: map[uint64]*heldNotes{}}
}

func (f *noteFilter) add(text string) {
	form := maphash.String(noteSeed, noteForm(text))
	same := maphash.String(noteSeed, text)
	if same == form {
		same = ^form
	}
	f.seen[form]++
	f.seen[same]++
	if f.seen[same] <= maxSameNotes && f.seen[form] <= maxAlikeNotes && f.total < maxNotes {
		f.total++
		f.note(text)
		return
	}
	h := f.held[form]
	switch {
	case h != nil:
		h.count++
	case len(f.held) < maxNotes:
		f.held[form] = &heldNotes{first: text, count: 1}
	default:
		f.over++
	}
	if len(f.seen) > 1<<16 {
		clear(f.seen)
	}
}

// end tells how much was held back.
func (f *noteFilter) end() {
	held := make([]*heldNotes, 0, len(f.held))
	for _, h := range f.held {
		held = append(held, h)
	}
	slices.SortFunc(held, func(a, b *heldNotes) int {
		if a.count != b.count {
			return b.count - a.count
		}
		return strings.Compare(a.first, b.first)
	})
	for i, h := range held {
		if i == maxAlikeNotes {
			break
		}
		f.note(fmt.Sprintf("%d more like: %s", h.count, h.first))
	}
	for _, h := range held[min(len(held), maxAlikeNotes):] {
		f.over += h.count
	}
	if f.over > 0 {
		f.note(fmt.Sprintf("%d more of other kinds", f.over))
	}
}

// noteForm is a note's text with every word that has a digit in it taken for
// the same.
func noteForm(text string) string {
	var b strings.Builder
	for word := range strings.FieldsSeq(text) {
		if strings.ContainsAny(word, "0123456789") {
			word = "#"
		}
		b.WriteString(word)
		b.WriteByte(' ')
	}
	return b.String()
}
