package command

import (
	"strings"
	"sync"
)

// families is the whole vocabulary: a new command is a file and a line in its
// family. They are functions because commands run commands: variables would
// depend on each other in a circle.
func families() [][]*Command {
	return [][]*Command{
		controlCommands(),
		foreachCommands(),
		scriptCommands(),
		aliasCommands(),
		printCommands(),
		evaluationCommands(),
		logCommands(),
		sessionCommands(),
		settingCommands(),
		helpCommands(),
		objectLoopCommands(),
		listCommands(),
		userExceptionCommands(),
		processCommands(),
		wow64Commands(),
		contextCommands(),
		stackCommands(),
		frameCommands(),
		registerCommands(),
		processorCommands(),
		savedContextCommands(),
		eventCommands(),
		machineCommands(),
		displayCommands(),
		typeCommands(),
		searchCommands(),
		physicalCommands(),
		memoryUseCommands(),
		translationCommands(),
		codeCommands(),
		sourceCommands(),
		localCommands(),
		moduleCommands(),
		symbolCommands(),
		modelCommands(),
		pathCommands(),
		symbolOptionCommands(),
		objectCommands(),
		sysinfoCommands(),
		schedulerCommands(),
		analyzeCommands(),
		errorRecordCommands(),
		blackBoxCommands(),
		alpcCommands(),
		topologyCommands(),
		debugPrintCommands(),
		controlAreaCommands(),
		withUsage(mexCommands(), mexMachineCommands(), mexRegistryCommands(), mexThreadCommands(), mexThreadViewCommands(),
			mexStackCommands(), mexLoopCommands(), mexTextCommands()),
		processorBlockCommands(),
		heapCommands(),
		ioCommands(),
		lockCommands(),
		registryCommands(),
		securityCommands(),
		queueCommands(),
		winSessionCommands(),
		userSideCommands(),
		oldSpellingCommands(),
		symbolLoopCommands(),
		listWalkCommands(),
		savedStateCommands(),
		valueCommands(),
		kernelWordCommands(),
		userMemoryCommands(),
	}
}

// A vocabulary finds commands by their names.
type vocabulary struct {
	families func() [][]*Command

	once   sync.Once
	all    []*Command
	words  map[string]*Command // dot words, extensions: lower case
	native map[string]*Command // native names: lower case, or as they are with ExactCase
	most   int                 // longest native name
}

// kernelVocabulary are the commands of kernel dumps: all but those that user
// minidumps have instead.
var kernelVocabulary = vocabulary{families: families}

func (v *vocabulary) load() {
	v.words, v.native = map[string]*Command{}, map[string]*Command{}
	for _, family := range v.families() {
		for _, c := range family {
			v.all = append(v.all, c)
			for _, name := range c.Names {
				switch {
				case name[0] == '.' && len(name) > 1, name[0] == '!':
					v.words[strings.ToLower(name)] = c
				default:
					v.native[nativeKey(name, c.ExactCase)] = c
					v.most = max(v.most, len(name))
				}
			}
		}
	}
}

func nativeKey(name string, exact bool) string {
	if exact {
		return "=" + name
	}
	return strings.ToLower(name)
}

// All returns the commands in the order of their families.
func All() []*Command { return kernelVocabulary.commands() }

func (v *vocabulary) commands() []*Command {
	v.once.Do(v.load)
	return v.all
}

// word finds a dot word or an extension by its whole name.
func (v *vocabulary) word(name string) (*Command, bool) {
	v.once.Do(v.load)
	c, ok := v.words[strings.ToLower(name)]
	return c, ok
}

// nativeName finds the longest native name that text begins with.
func (v *vocabulary) nativeName(text string) (c *Command, name string, ok bool) {
	v.once.Do(v.load)
	for n := min(v.most, len(text)); n > 0; n-- {
		if c, ok := v.native["="+text[:n]]; ok {
			return c, text[:n], true
		}
		if c, ok := v.native[strings.ToLower(text[:n])]; ok {
			return c, text[:n], true
		}
	}
	return nil, "", false
}
