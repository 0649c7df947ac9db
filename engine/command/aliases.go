package command

import (
	"path/filepath"
	"strings"
)

// aliases are the texts a session puts in the place of words.
type aliases struct {
	named map[string]string // as, aS
	size  int               // bytes in named
	fixed [10]string        // $u0 … $u9
}

// A localAlias is an alias that al does not list: see interpreter.locals.
type localAlias struct{ name, value string }

// maxExpanded bounds a line after its aliases were replaced, and all aliases together.
const maxExpanded = 16 << 20

// alias returns the text that stands for a word.
func (s *Session) alias(name string) (string, bool) {
	for i := len(s.interp.locals) - 1; i >= 0; i-- {
		if l := s.interp.locals[i]; l.name == name {
			return l.value, true
		}
	}
	if v, ok := s.aliases.named[name]; ok {
		return v, true
	}
	switch name {
	case "$ntsym", "$ntnsym":
		return kernelSymbols, true
	case "$CurrentDumpFile":
		return s.opts.DumpPath, true
	case "$CurrentDumpPath":
		return dumpFolder(s.opts.DumpPath), true
	}
	return "", false
}

// kernelSymbols is the module of the kernel, as $ntsym names it.
const kernelSymbols = "nt"

// emptyAliases have a value, an empty one, only between ${ and }.
var emptyAliases = map[string]bool{"$ntwsym": true, "$CurrentDumpArchiveFile": true, "$CurrentDumpArchivePath": true}

// dumpFolder is the folder of a path in the spelling of either system.
func dumpFolder(path string) string {
	if i := strings.LastIndexByte(path, '\\'); i >= 0 {
		return path[:i]
	}
	return filepath.Dir(path)
}

// setAlias defines a user-named alias.
func (s *Session) setAlias(name, value string) error {
	a := &s.aliases
	size := a.size + len(name) + len(value)
	if old, ok := a.named[name]; ok {
		size -= len(name) + len(old)
	}
	if size > maxExpanded {
		return Failf("Aliases need more than %d MB", maxExpanded>>20)
	}
	if a.named == nil {
		a.named = map[string]string{}
	}
	a.named[name], a.size = value, size
	return nil
}

// deleteAlias forgets a user-named alias and reports whether it was there.
func (s *Session) deleteAlias(name string) bool {
	v, ok := s.aliases.named[name]
	if ok {
		delete(s.aliases.named, name)
		s.aliases.size -= len(name) + len(v)
	}
	return ok
}

// withLocal runs f while name stands for value.
func (s *Session) withLocals(add []localAlias, f func() error) error {
	n := len(s.interp.locals)
	s.interp.locals = append(s.interp.locals, add...)
	defer func() { s.interp.locals = s.interp.locals[:n] }()
	return f()
}

// aliasDelimiters divide the words that aliases replace.
const aliasDelimiters = " \t;\"'\r\n"

// expand replaces the aliases in a line or block: user-named ones where they
// stand as whole words, the fixed names $u0 to $u9 and ${} anywhere. What was
// put in is not looked at again. A text that begins with a command on aliases
// is left alone, so that their names can be written in it.
func (s *Session) expand(text string) (string, error) {
	words := !beginsWithAliasCommand(text)
	if !words && !strings.Contains(text, "$u") {
		return text, nil
	}
	var b strings.Builder
	for len(text) > 0 {
		n := strings.IndexAny(text, aliasDelimiters)
		if n == 0 {
			b.WriteByte(text[0])
			text = text[1:]
			continue
		}
		if n < 0 {
			n = len(text)
		}
		s.expandWord(&b, text[:n], words)
		text = text[n:]
		if b.Len() > maxExpanded {
			return "", Failf("The line is longer than %d MB with its aliases replaced", maxExpanded>>20)
		}
	}
	return b.String(), nil
}

func beginsWithAliasCommand(text string) bool {
	if len(text) < 2 || text[0] != 'a' || !strings.ContainsRune("sSdl", rune(text[1])) {
		return false
	}
	return len(text) == 2 || text[2] == ' ' || text[2] == '\t' || text[2] == ';'
}

// expandWord writes a word with what is to be replaced in it; named says
// whether user-named aliases are.
func (s *Session) expandWord(b *strings.Builder, word string, named bool) {
	if named {
		if v, ok := s.alias(word); ok {
			b.WriteString(v)
			return
		}
	}
	for {
		i := strings.IndexByte(word, '$')
		if i < 0 {
			b.WriteString(word)
			return
		}
		b.WriteString(word[:i])
		word = word[i:]
		switch {
		case len(word) > 2 && word[1] == 'u' && word[2] >= '0' && word[2] <= '9':
			b.WriteString(s.aliases.fixed[word[2]-'0'])
			word = word[3:]
			continue
		case named && strings.HasPrefix(word, "${"):
			if end := strings.IndexByte(word, '}'); end > 0 {
				if v, ok := s.interpret(word[2:end]); ok {
					b.WriteString(v)
					word = word[end+1:]
					continue
				}
			}
		}
		b.WriteByte('$')
		word = word[1:]
	}
}

// interpret evaluates what stands between ${ and }; false leaves it as it is.
func (s *Session) interpret(inner string) (string, bool) {
	kind := byte(0)
	if len(inner) > 3 && inner[0] == '/' && inner[2] == ':' {
		kind, inner = inner[1], inner[3:]
	}
	v, ok := s.alias(inner)
	if !ok && emptyAliases[inner] {
		ok = true
	}
	switch kind {
	case 0:
		return v, ok
	case 'n':
		return inner, ok
	case 'f':
		return v, true
	case 'd':
		if ok {
			return "1", true
		}
		return "0", true
	}
	return "", false // /v and unknown switches
}
