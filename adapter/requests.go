package adapter

import (
	"sync"

	"github.com/google/go-dap"
)

// A lane is an order that requests keep.
type lane uint8

const (
	parallelLane  lane = iota
	consoleLane        // one command line after the other
	lifecycleLane      // opening, configuring and closing
)

// A request couples a handler with the capability it earns, so that what
// initialize promises is what is registered.
type request struct {
	handle func(*Adapter, *call) (any, error)
	lane   lane
	caps   func(*Capabilities)
}

// on makes a request of a handler with typed arguments.
func on[A any](handle func(*Adapter, *call, A) (any, error)) request {
	return request{handle: func(a *Adapter, c *call) (any, error) {
		args, err := decode[A](c.args)
		if err != nil {
			return nil, err
		}
		return handle(a, c, args)
	}}
}

func (r request) in(l lane) request {
	r.lane = l
	return r
}

func (r request) earns(caps func(*Capabilities)) request {
	r.caps = caps
	return r
}

// table is made on first use: as a variable with a value it would depend on itself.
var table struct {
	once sync.Once
	m    map[string]request
}

// requests is all that the adapter answers.
func requests() map[string]request {
	table.once.Do(func() { table.m = register() })
	return table.m
}

// register makes the table. "cancel" is answered by the reader: its entry is
// there for the capability.
func register() map[string]request {
	m := map[string]request{
		"initialize":        on(onInitialize).in(lifecycleLane).earns(func(c *Capabilities) { c.SupportsANSIStyling = true }),
		"launch":            on(onLaunch).in(lifecycleLane),
		"attach":            on(onAttach).in(lifecycleLane),
		"configurationDone": on(onConfigurationDone).in(lifecycleLane).earns(func(c *Capabilities) { c.SupportsConfigurationDoneRequest = true }),
		"restart":           on(onRestart).in(lifecycleLane).earns(func(c *Capabilities) { c.SupportsRestartRequest = true }),
		"terminate":         on(onTerminate).in(lifecycleLane).earns(func(c *Capabilities) { c.SupportsTerminateRequest = true }),
		"disconnect":        on(onDisconnect).in(lifecycleLane),
		"cancel":            {caps: func(c *Capabilities) { c.SupportsCancelRequest = true }},

		"setBreakpoints":          on(onSetBreakpoints),
		"setExceptionBreakpoints": on(onSetExceptionBreakpoints),

		"threads":    on(onThreads),
		"stackTrace": on(onStackTrace).earns(func(c *Capabilities) { c.SupportsDelayedStackTraceLoading = true }),
		"scopes":     on(onScopes),
		"variables":  on(onVariables),
		"evaluate": on(onExpression).earns(func(c *Capabilities) {
			c.SupportsEvaluateForHovers = true
			c.SupportsClipboardContext = true
		}),
		"completions": on(onCompletions).earns(func(c *Capabilities) {
			c.SupportsCompletionsRequest = true
			c.CompletionTriggerCharacters = []string{".", "!"}
		}),
		"readMemory":    on(onReadMemory).earns(func(c *Capabilities) { c.SupportsReadMemoryRequest = true }),
		"disassemble":   on(onDisassemble).earns(func(c *Capabilities) { c.SupportsDisassembleRequest = true }),
		"modules":       on(onModules).earns(func(c *Capabilities) { c.SupportsModulesRequest = true }),
		"loadedSources": on(onLoadedSources).earns(func(c *Capabilities) { c.SupportsLoadedSourcesRequest = true }),
		"source":        on(onSource),
		"exceptionInfo": on(onExceptionInfo).earns(func(c *Capabilities) { c.SupportsExceptionInfoRequest = true }),

		"kdap/focus":       on(onFocus).in(consoleLane),
		"kdap/openProcess": on(onOpenProcess),
		"kdap/processes":   on(onProcesses).in(consoleLane),
	}
	for name, sentence := range refusals {
		m[name] = refuse(sentence)
	}
	return m
}

// capabilities are what the registered requests earn.
func capabilities() Capabilities {
	var c Capabilities
	for _, r := range requests() {
		if r.caps != nil {
			r.caps(&c)
		}
	}
	return c
}

// laneOf puts the console's command lines into their order; other evaluations
// run beside them.
func laneOf(command string, args []byte, r request) lane {
	if command != "evaluate" {
		return r.lane
	}
	if e, err := decode[dap.EvaluateArguments](args); err == nil && e.Context == replContext {
		return consoleLane
	}
	return r.lane
}
