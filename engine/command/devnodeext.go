package command

import (
	"context"
	"fmt"
	"strings"

	"kdap/engine/windows"
)

// Flags of !devnode.
const (
	nodeChildren   = 0x1
	nodeNotStarted = 0x10 // only nodes that are not started
	nodeProblems   = 0x20 // only nodes with problems
	nodeResources  = 0x2 | 0x4 | 0x8
)

func cmdDevnode() *Command {
	return &Command{
		Names: []string{"!devnode"}, Args: "[Address|0 [Flags [Service]]]",
		Short: "show a node of the device tree, or the tree below it",
		Run:   runDevnode,
	}
}

func runDevnode(ctx context.Context, s *Session, c *Call) error {
	var addr, flags uint64
	for _, n := range []*uint64{&addr, &flags} {
		if c.Args.Done() {
			break
		}
		var err error
		if *n, err = s.extensionNumber(c); err != nil {
			return err
		}
	}
	w := nodeWalk{s: s, ctx: ctx, flags: flags, service: c.Word(), seen: map[uint64]bool{}}
	if flags&nodeResources != 0 {
		s.notef("!devnode: resource lists are not shown")
	}
	if addr != 0 {
		n := s.sys.DeviceNode(addr)
		if _, err := n.State(); err != nil {
			s.notef("%v", err)
			return Failf("%016x is not a device node", addr)
		}
		return w.show(n, 0)
	}
	root, err := s.sys.RootDeviceNode()
	if err != nil {
		s.notef("%v", err)
		return Failf("Unable to read IopRootDeviceNode")
	}
	s.printf("Dumping IopRootDeviceNode (= 0x%016x)\n", root.Addr())
	return w.show(root, 0)
}

type nodeWalk struct {
	s       *Session
	ctx     context.Context
	flags   uint64
	service string
	seen    map[uint64]bool
}

// maxNodeDepth bounds how deep the tree is followed.
const maxNodeDepth = 64

func (w *nodeWalk) show(n windows.DeviceNode, depth int) error {
	for {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if w.seen[n.Addr()] {
			w.s.notef("device tree: cycle at %x", n.Addr())
			return nil
		}
		w.seen[n.Addr()] = true
		_, sibling, child, err := n.Links()
		if w.wanted(n) {
			w.node(n, depth)
		}
		if err != nil {
			w.s.notef("device node %x: %v", n.Addr(), err)
			return nil
		}
		if w.flags&nodeChildren == 0 {
			return nil
		}
		if child != 0 && depth < maxNodeDepth {
			if err := w.show(w.s.sys.DeviceNode(child), depth+1); err != nil {
				return err
			}
		}
		if depth == 0 || sibling == 0 {
			return nil
		}
		n = w.s.sys.DeviceNode(sibling)
	}
}

func (w *nodeWalk) wanted(n windows.DeviceNode) bool {
	if w.flags&nodeNotStarted != 0 {
		if state, err := n.State(); err == nil && state == windows.DeviceNodeStarted {
			return false
		}
	}
	if w.flags&nodeProblems != 0 {
		if v, err := n.Object().Field("Flags").Uint(); err == nil && v&(nodeHasProblem|nodeHasPrivateProblem) == 0 {
			return false
		}
	}
	if w.service != "" {
		service, err := n.ServiceName()
		return err == nil && strings.EqualFold(service, w.service)
	}
	return true
}

const (
	nodeHasProblem        = 0x2000
	nodeHasPrivateProblem = 0x4000
)

// nodeFlags are DNF_* as debugger documentation lists them ("Device node
// status flags"), nodeCapabilities the bits of DEVICE_CAPABILITIES of wdm.h.
var (
	nodeFlags = maskNames{
		{0x1, "DNF_MADEUP"},
		{0x2, "DNF_DUPLICATE"},
		{0x4, "DNF_HAL_NODE"},
		{0x8, "DNF_REENUMERATE"},
		{0x10, "DNF_ENUMERATED"},
		{0x20, "DNF_IDS_QUERIED"},
		{0x40, "DNF_HAS_BOOT_CONFIG"},
		{0x80, "DNF_BOOT_CONFIG_RESERVED"},
		{0x100, "DNF_NO_RESOURCE_REQUIRED"},
		{0x200, "DNF_RESOURCE_REQUIREMENTS_NEED_FILTERED"},
		{0x400, "DNF_RESOURCE_REQUIREMENTS_CHANGED"},
		{0x800, "DNF_NON_STOPPED_REBALANCE"},
		{0x1000, "DNF_LEGACY_DRIVER"},
		{nodeHasProblem, "DNF_HAS_PROBLEM"},
		{nodeHasPrivateProblem, "DNF_HAS_PRIVATE_PROBLEM"},
		{0x8000, "DNF_HARDWARE_VERIFICATION"},
		{0x10000, "DNF_DEVICE_GONE"},
		{0x20000, "DNF_LEGACY_RESOURCE_DEVICENODE"},
		{0x40000, "DNF_NEEDS_REBALANCE"},
		{0x80000, "DNF_LOCKED_FOR_EJECT"},
		{0x100000, "DNF_DRIVER_BLOCKED"},
		{0x200000, "DNF_CHILD_WITH_INVALID_ID"},
		{0x400000, "DNF_ASYNC_START_NOT_SUPPORTED"},
		{0x800000, "DNF_ASYNC_ENUMERATION_NOT_SUPPORTED"},
		{0x1000000, "DNF_LOCKED_FOR_REBALANCE"},
		{0x2000000, "DNF_UNINSTALLED"},
		{0x4000000, "DNF_NO_LOWER_DEVICE_FILTERS"},
		{0x8000000, "DNF_NO_LOWER_CLASS_FILTERS"},
		{0x10000000, "DNF_NO_SERVICE"},
		{0x20000000, "DNF_NO_UPPER_DEVICE_FILTERS"},
		{0x40000000, "DNF_NO_UPPER_CLASS_FILTERS"},
		{0x80000000, "DNF_WAITING_FOR_FDO"},
	}
	nodeCapabilities = maskNames{
		{0x1, "DeviceD1"},
		{0x2, "DeviceD2"},
		{0x4, "LockSupported"},
		{0x8, "EjectSupported"},
		{0x10, "Removable"},
		{0x20, "DockDevice"},
		{0x40, "UniqueID"},
		{0x80, "SilentInstall"},
		{0x100, "RawDeviceOK"},
		{0x200, "SurpriseRemovalOK"},
		{0x400, "WakeFromD0"},
		{0x800, "WakeFromD1"},
		{0x1000, "WakeFromD2"},
		{0x2000, "WakeFromD3"},
		{0x4000, "HardwareDisabled"},
		{0x8000, "NonDynamic"},
		{0x10000, "WarmEjectSupported"},
		{0x20000, "NoDisplayInUI"},
	}
)

// node prints one node, indented by its depth.
func (w *nodeWalk) node(n windows.DeviceNode, depth int) {
	s := w.s
	pad := strings.Repeat("  ", depth)
	line := func(format string, args ...any) { s.printf(pad+format+"\n", args...) }
	pdo, err := n.Device()
	parent, sibling, child, linkErr := n.Links()
	if err != nil || linkErr != nil {
		line("DevNode 0x%016x: %s", n.Addr(), notAccessible)
		return
	}
	line("DevNode %s for PDO %s", sharpHex(n.Addr()), sharpHex(pdo))
	if w.flags&nodeChildren == 0 {
		line("  Parent %s   Sibling %s   Child %s", sharpHex(parent), sharpHex(sibling), sharpHex(child))
	}
	line("  InstancePath is \"%s\"", textOr(n.InstancePath))
	if service := textOr(n.ServiceName); service != "" {
		line("  ServiceName is \"%s\"", service)
	}
	o := n.Object()
	get := func(path string) uint64 {
		v, err := o.Field(path).Uint()
		if err != nil {
			s.notef("device node %x: %v", n.Addr(), err)
		}
		return v
	}
	line("  State = %s", s.nodeState(get("State")))
	line("  Previous State = %s", s.nodeState(get("PreviousState")))
	if w.flags&nodeChildren == 0 {
		places, states, err := n.History()
		for i, at := range places {
			line("  StateHistory[%02d] = %s", at, s.nodeState(states[i]))
		}
		if err != nil {
			s.notef("device node %x: %v", n.Addr(), err)
		}
		s.showWrapped(pad+"  Flags ", get("Flags"), nodeFlags)
		if v := get("CapabilityFlags"); v != 0 {
			s.showWrapped(pad+"  CapabilityFlags ", v, nodeCapabilities)
		}
	}
	if code := get("Problem"); code != 0 {
		name := windows.ProblemName(code)
		if name == "" {
			name = "Unknown problem"
		}
		line("  Problem = %s (0x%x)", name, code)
	}
}

func (s *Session) nodeState(v uint64) string {
	name := s.sys.NodeStateName(v)
	if name == "" {
		name = "Unknown State"
	}
	return fmt.Sprintf("%s (0x%x)", name, v)
}

// showWrapped prints a mask with the names of its bits, two a line.
func (s *Session) showWrapped(label string, v uint64, names maskNames) {
	head := label + "(" + sharpHex(v) + ")  "
	s.printf("%s", head)
	list := names.names(v)
	for i, name := range list {
		if i > 0 && i%2 == 0 {
			s.printf("\n%s", strings.Repeat(" ", len(head)))
		}
		s.printf("%s", name)
		if i < len(list)-1 {
			s.printf(", ")
		}
	}
	s.printf("\n")
}
