package command

import (
	"context"
	"slices"
)

// userVocabulary are the commands of user minidumps: the common ones, and some
// of its own in their place.
var userVocabulary = vocabulary{families: func() [][]*Command {
	all := [][]*Command{userThreadCommands(), userProcessCommands(), userRegionCommands(), {userLocksCommand()}, userMinidumpMemoryCommands()}
	taken := map[string]bool{}
	for _, family := range all {
		for _, c := range family {
			for _, n := range c.Names {
				taken[n] = true
			}
		}
	}
	for _, family := range families() {
		all = append(all, slices.DeleteFunc(family, func(c *Command) bool { return taken[c.Names[0]] || needsKernel(c) }))
	}
	return all
}}

// kernelWords are the commands that a user minidump has not.
var kernelWords = map[string]bool{
	".bugcheck": true, ".context": true, ".trap": true, ".tss": true,
	"0": true, "up": true, "dg": true,
}

// userExtensions are the extension commands that a process is enough for.
var userExtensions = map[string]bool{
	"!gle": true, "!gflag": true, "!cs": true, "!critsec": true, "!tls": true, "!envvar": true, "!exchain": true,
	"!dflink": true, "!dblink": true, "!slist": true, "!rtlavl": true, "!gentable": true, "!kb": true, "!kv": true, "!dt": true, "!do": true, "!version": true, "!heap": true,
	"!filetime": true, "!str": true, "!ustr": true, "!hstring": true, "!hstring2": true, "!bitcount": true,
	"!runaway": true, "!uniqstack": true, "!findstack": true,
	"!lmi": true, "!dh": true, "!chksym": true, "!sym": true, "!help": true, "!error": true,
	"!for_each_module": true, "!for_each_frame": true, "!for_each_local": true, "!for_each_register": true, "!for_each_function": true,
	"!wow64exts.sw": true, "!wow64exts.k": true, "!wow64exts.info": true, "!wow64exts.r": true,
	"!peb": true, "!teb": true, "!itoldyouso": true, "!dlls": true, "!list": true, "!imgreloc": true, "!std_map": true, "!stl": true, "!analyze": true,
}

// needsKernel tells whether only a kernel dump has a command.
func needsKernel(c *Command) bool {
	if c.Names[0][0] == '!' && len(c.Names[0]) > 1 {
		return !slices.ContainsFunc(c.Names, func(n string) bool { return userExtensions[n] })
	}
	return slices.ContainsFunc(c.Names, func(n string) bool { return kernelWords[n] })
}

func userProcessCommands() []*Command {
	return []*Command{
		{Names: []string{".process"}, Short: "in a user dump there is one process", Run: func(context.Context, *Session, *Call) error {
			return Tellf("Unable to get the current process data")
		}},
		{Names: []string{"|"}, Args: "[. | # | * | N] [s]", Short: "show the process of the dump", Run: runUserProcess},
		{Names: []string{".dumpdebug"}, Short: "show what the dump file holds", Run: runUserDumpDebug},
	}
}
