package expr

import (
	"fmt"
	"strings"
)

// missingTypeBox is what the symbol engine prints about a name without a
// module that it does not know. off says that unqualified names are looked up
// in loaded symbols only (symbol option 0x100).
func missingTypeBox(name string, off bool) string {
	reason := []string{"", "", "Your debugger is not using the correct symbols", ""}
	path := "In order for this command to work properly, your symbol path"
	if off {
		reason = []string{
			"", "",
			"Either you specified an unqualified symbol, or your debugger",
			"doesn't have full symbol information.  Unqualified symbol",
			"resolution is turned off by default. Please either specify a",
			"fully qualified symbol module!symbolname, or enable resolution",
			"of unqualified symbols by typing \".symopt- 100\". Note that",
			"enabling unqualified symbol resolution with network symbol",
			"server shares in the symbol path may cause the debugger to",
			"appear to hang for long periods of time when an incorrect",
			"symbol name is typed or the network symbol server is down.",
			"",
		}
		path = "For some commands to work properly, your symbol path"
	}
	lines := append(reason,
		path,
		"must point to .pdb files that have full type information.",
		"",
		"Certain .pdb files (such as the public OS symbols) do not",
		"contain the required information.  Contact the group that",
		"provided you with these symbols if you need this command to",
		"work.",
		"",
		"Type referenced: "+name,
		"",
	)
	var b strings.Builder
	edge := strings.Repeat("*", 73) + "\n"
	b.WriteString(edge)
	for _, l := range lines {
		fmt.Fprintf(&b, "***    %-62s ***\n", l)
	}
	b.WriteString(edge)
	return b.String()
}

// keywordAsModule is what comes of "struct nt!_X": the words before the ! are
// taken for an image that is not loaded.
func keywordAsModule(module string) string {
	word, _, _ := strings.Cut(module, " ")
	return fmt.Sprintf(`
"%[1]s" was not found in the image list.
Debugger will attempt to load "%[1]s" at given base 00000000`+"`"+`00000000.

Please provide the full image name, including the extension (i.e. kernel32.dll)
for more reliable results.Base address and size overrides can be given as
.reload <image.ext>=<base>,<size>.
Unable to add module at 00000000`+"`"+`00000000
`, word)
}
