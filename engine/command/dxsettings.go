package command

import (
	"context"
	"slices"

	"kdap/engine/model"
)

// A setting is one value of Debugger.Settings.
type setting struct {
	name  string
	value func(s *Session) model.Value
	set   func(s *Session, v model.Value) bool // nil: kept, without effect
}

func fixedSetting(name string, v model.Value) setting {
	return setting{name: name, value: func(*Session) model.Value { return v }}
}

func yes(name string) setting { return fixedSetting(name, model.Truth(true)) }
func no(name string) setting  { return fixedSetting(name, model.Truth(false)) }

// option shows a bit of .symopt; inverted ones are set when the bit is not.
func option(name string, bit uint32, inverted bool) setting {
	return setting{name: name, value: func(s *Session) model.Value {
		return model.Truth((s.settings.symopt&bit != 0) != inverted)
	}}
}

// settingGroups are the groups of Debugger.Settings. The values are the
// session's where it has such a switch, else those the engine starts with.
var settingGroups = []struct {
	name     string
	empty    []string // groups in the group that stand in front
	settings []setting
	behind   []string // groups in the group that stand behind
}{
	{name: "Debug", empty: []string{"Advanced"}},
	{name: "Display", empty: []string{"Disassembly"}, settings: displaySettings},
	{name: "EngineInitialization", settings: []setting{
		yes("AllowNetworkPaths"), yes("AllowShellCommands"), yes("SendTelemetry"), yes("VerifyFunctionTableCallbacks"), yes("UseReptTargetSupport"),
		no("AllowSignExtensionMasmEvalExpression"), no("PreferOpenTraceFilesFromDumps"), yes("UseRangeDumpFormatForKernelMemDump"),
		no("SecureLoadDotNetExtensions"), yes("UseRangeDumpFormatForFullMemDump"), no("ResolveAmbiguousBreakpoints"),
	}},
	{name: "Extensions"},
	{name: "Input"},
	{name: "MCP"},
	{name: "Plugins"},
	{name: "Sources", settings: []setting{
		{name: "DisplaySourceLines", value: func(s *Session) model.Value { return model.Truth(s.settings.lines) }},
		{name: "SourceSearchPath", value: func(s *Session) model.Value { return model.String(s.SourcePath().String()) }},
		yes("SkipCompilerIndicatedGlue"), no("SkipCrtCode"), yes("SkipSCPCode"), fixedSetting("EnableExperimentalRemappings", model.I32(0)),
		fixedSetting("DisabledRemappingTools", model.String("")), no("SourceCodeDebugging"),
	}},
	{name: "Symbols", empty: []string{"SymbolOptions"}, settings: []setting{
		{name: "Sympath", value: func(s *Session) model.Value { return model.String(s.finder().Path.String()) }},
	}, behind: []string{"Advanced", "DisabledSymbolsDownload", "NegativeAuthenticationCache"}},
}

var displaySettings = []setting{
	{name: "PreferDMLOutput", value: func(s *Session) model.Value { return model.Truth(s.settings.dml) }},
	{name: "StackTraceDepth", value: func(s *Session) model.Value { return model.U64(uint64(s.settings.kframes)) }},
	no("UnicodeStrings"),
	{
		name: "DefaultRecursionDepth", value: func(s *Session) model.Value { return model.U64(uint64(s.model.settings.RecursionDepth)) },
		set: func(s *Session, v model.Value) bool {
			n, ok := model.Integer(v)
			if ok {
				s.model.settings.RecursionDepth = int(min(n, maxRecursion))
			}
			return ok
		},
	},
	{name: "DefaultDisplayRadix", value: func(s *Session) model.Value { return model.U64(uint64(s.settings.radix)) }},
	{
		name: "PrintIntegersInDefaultRadix", value: func(s *Session) model.Value { return model.Truth(s.model.settings.SignedInRadix) },
		set: func(s *Session, v model.Value) bool {
			n, ok := v.(model.Number)
			if ok {
				s.model.settings.SignedInRadix = n.Bits != 0
			}
			return ok
		},
	},
	no("UseDataModelForLocalsAndWatch"),
	fixedSetting("MaxSymbolDisplayLength", model.U64(0)),
	{
		name: "MaxStringConversionDisplayLength", value: func(s *Session) model.Value { return model.U64(s.model.maxText) },
		set: func(s *Session, v model.Value) bool {
			n, ok := model.Integer(v)
			if ok {
				s.model.maxText = n
			}
			return ok
		},
	},
	no("DisplayShadowedVariablesWithSuffixes"),
}

// maxRecursion bounds the levels that are shown without -r.
const maxRecursion = 1000

var advancedDebugSettings = []setting{
	yes("AutoDetectGuestMachine"), yes("AllowHardwareBreakpoints"), no("BreakOnTargetRequestedCommand"), no("MapImageMemoryForKernelDumps"),
	fixedSetting("MaxClrModules", model.U64(1000)), yes("PackLinuxSignalToExceptionCode"), yes("PerThreadKernelBreakpointTracking"),
	yes("PerformSymbolSearchSubstitution"), yes("SupportRecursiveStepOver"), yes("VadBasedModuleEnumeration"), no("RestartKdNetUsbDebugDevice"),
}

var symbolOptionSettings = []setting{
	option("AllowAbsoluteSymbols", 0x800, false), option("AutoPublics", 0x10000, false), option("CaseInsensitive", 0x1, false),
	option("FindNearest", 0x20, false), option("IgnoreCVRecord", 0x80, false), option("IgnoreDecoration", 0x2, false),
	option("Include32BitModules", 0x2000, false), option("LoadAnything", 0x40, false), option("LoadAsNeeded", 0x4, false),
	{name: "NoisySymbolLoading", value: func(s *Session) model.Value { return model.Truth(s.symbols.noisy) }},
	option("NoUnqualifiedLoads", 0x100, false), option("OnlyUsePublics", 0x4000, false), option("SecureMode", 0x40000, false),
	option("StrictEvaluation", 0x400, false), option("SuppressErrors", 0x200, false), option("AllowPublics", 0x8000, true),
	option("AuthenticationPrompts", 0x80000, true), option("CppTranslation", 0x8, true), option("SearchDisk", 0x20000, true),
	option("UseEnvironmentSympath", 0x1000, true),
}

// settingsObject is Debugger.Settings.
func (h *modelHost) settingsObject() *model.Object {
	var groups []model.Member
	for _, g := range settingGroups {
		var members []model.Member
		for _, name := range g.empty {
			members = append(members, model.Property(name, h.innerSettings(g.name, name)))
		}
		members = append(members, h.settingMembers(g.settings)...)
		for _, name := range g.behind {
			members = append(members, model.Property(name, model.NewObject()))
		}
		groups = append(groups, model.Property(g.name, model.NewObject(members...)))
	}
	return model.NewObject(append(groups, h.settingMembers([]setting{no("AutoSaveSettings")})...)...)
}

func (h *modelHost) innerSettings(group, name string) *model.Object {
	switch {
	case group == "Debug":
		return model.NewObject(h.settingMembers(advancedDebugSettings)...)
	case name == "SymbolOptions":
		return model.NewObject(h.settingMembers(symbolOptionSettings)...)
	}
	return model.NewObject()
}

func (h *modelHost) settingMembers(list []setting) []model.Member {
	var out []model.Member
	for _, st := range list {
		m := model.Lazily(st.name, func(context.Context) (model.Value, error) { return st.value(h.s), nil })
		if st.set != nil {
			m.Set = func(_ context.Context, v model.Value) (model.Value, error) {
				if !st.set(h.s, v) {
					return nil, model.SystemError(model.TypeMismatch)
				}
				return st.value(h.s), nil
			}
		}
		out = append(out, m)
	}
	return slices.Clip(out)
}
