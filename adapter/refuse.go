package adapter

import "errors"

// The sentences for what a dump cannot do. Editors show the buttons for some
// of these whatever an adapter says, and clients keep the stop they have when
// the request fails.
const (
	cannotRun    = "A crash dump cannot run: it holds one moment of the machine, the one at which it stopped."
	cannotStep   = "A crash dump cannot be stepped through: it holds one moment of the machine, the one at which it stopped."
	cannotStop   = "A crash dump does not run: all of its threads are stopped already."
	cannotJump   = "A crash dump cannot go on at another place: it holds one moment of the machine."
	cannotChange = "A crash dump cannot be changed: it is opened for reading only."
	cannotBreak  = "A crash dump does not run, so nothing in it can reach a breakpoint."
)

// refusals are the requests that need a running target, with the sentence
// that refuses each.
var refusals = map[string]string{
	"continue":                  cannotRun,
	"reverseContinue":           cannotRun,
	"next":                      cannotStep,
	"stepIn":                    cannotStep,
	"stepOut":                   cannotStep,
	"stepBack":                  cannotStep,
	"stepInTargets":             cannotStep,
	"restartFrame":              cannotJump,
	"goto":                      cannotJump,
	"gotoTargets":               cannotJump,
	"pause":                     cannotStop,
	"terminateThreads":          cannotChange,
	"setVariable":               cannotChange,
	"setExpression":             cannotChange,
	"writeMemory":               cannotChange,
	"dataBreakpointInfo":        cannotBreak,
	"setDataBreakpoints":        cannotBreak,
	"setFunctionBreakpoints":    cannotBreak,
	"setInstructionBreakpoints": cannotBreak,
	"breakpointLocations":       cannotBreak,
}

func refuse(sentence string) request {
	return request{handle: func(*Adapter, *call) (any, error) { return nil, errors.New(sentence) }}
}
