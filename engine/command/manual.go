package command

import (
	"slices"
	"strings"

	"kdap/docs"
)

// A RefusedGroup is words that are refused for one reason.
type RefusedGroup struct {
	Sentence string   // "%s" stands for the word
	Words    []string // as the tables have them
	Own      bool     // WinDbg has words of its own for them, which are the output; the sentence is a note
}

// Refused returns the words of WinDbg that are refused and in no other way
// part of the vocabulary.
func Refused() []RefusedGroup {
	var all []RefusedGroup
	for _, r := range refusals() {
		words := slices.DeleteFunc(strings.Fields(r.words), func(w string) bool {
			c, name := kernelVocabulary.find(w)
			return c == nil || c.Short != refusedShort && name == w
		})
		if len(words) > 0 {
			all = append(all, RefusedGroup{r.sentence, words, r.windbg != nil})
		}
	}
	return all
}

// refusedBecause returns the sentence of a refused word.
func refusedBecause(word string) string {
	for _, r := range refusals() {
		for _, w := range strings.Fields(r.words) {
			if w == word || strings.EqualFold(w, word) && (w[0] == '.' || w[0] == '!') {
				return sentence(r.sentence, word)
			}
		}
	}
	return "it makes no sense on a dump."
}

// Known tells whether a word is a command or a refused word of kernel or user
// dumps.
func Known(word string) bool {
	for _, v := range []*vocabulary{&kernelVocabulary, &userVocabulary} {
		if c, _ := v.find(word); c != nil {
			return true
		}
	}
	return false
}

// printPage prints the manual's page about a command; it has its syntax.
func (s *Session) printPage(c *Command) bool {
	p, ok := docs.PageOf(c.Names[0])
	if ok {
		s.printf("%s", p.Plain())
	}
	return ok
}
