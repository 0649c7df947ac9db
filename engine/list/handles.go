package list

import (
	"context"
	"iter"

	"kdap/engine/windows"
)

// A Handle is an entry of the kind "handles".
type Handle struct {
	PID     *uint64 `json:"pid,omitempty"`
	Handle  Hex     `json:"handle"`
	Object  Hex     `json:"object,omitzero"`   // absent in user minidumps
	Type    string  `json:"type,omitempty"`    // of the object: "File", "Key", "Thread" ...
	Access  *Hex    `json:"access,omitempty"`  // what the handle allows, a mask
	Name    string  `json:"name,omitempty"`    // of the object
	Device  string  `json:"device,omitempty"`  // files: the name of their device
	Inherit *bool   `json:"inherit,omitempty"` // children get it
	Protect *bool   `json:"protect,omitempty"` // it cannot be closed

	Unreadable Unreadable `json:"unreadable,omitempty"`
}

// Handles yields the open handles of the processes that keep accepts.
func Handles(ctx context.Context, sys *windows.System, keep Filter) iter.Seq2[Handle, error] {
	return ofProcesses(sys.Processes(ctx), keep, func(p windows.Process, yield func(Handle, error) bool) bool {
		pid, pidErr := p.PID()
		for h, err := range p.Handles(ctx) {
			var v Handle
			if err == nil {
				v = NewHandle(h)
				v.PID = read(&v.Unreadable, "pid", pid, pidErr)
			}
			if !yield(v, err) {
				return false
			}
		}
		return true
	})
}

// NewHandle reads the values of one handle.
func NewHandle(h windows.Handle) Handle {
	o := h.Target()
	v := Handle{Handle: Hex(h.Handle), Object: Hex(o.Addr())}
	u := &v.Unreadable
	access, err := h.Access()
	v.Access = readHex(u, "access", access, err)
	attributes, err := h.Attributes()
	v.Inherit = read(u, "inherit", attributes&windows.HandleInherit != 0, err)
	v.Protect = read(u, "protect", attributes&windows.HandleProtect != 0, err)
	kind, err := o.TypeName()
	v.Type = readText(u, "type", kind, err)
	if err != nil {
		return v // the name is the type's matter
	}
	name, err := o.Title()
	v.Name = readText(u, "name", name, err)
	if kind == "File" {
		name, err := o.System().FileObject(o.Addr()).DeviceName()
		v.Device = readText(u, "device", name, err)
	}
	return v
}
