package windows

import (
	"errors"

	"kdap/engine/types"
)

// A DeviceNode is a view over one _DEVICE_NODE of the tree of plug and play.
type DeviceNode struct {
	sys *System
	obj types.Object
}

// DeviceNode returns the view over the _DEVICE_NODE at addr.
func (s *System) DeviceNode(addr uint64) DeviceNode {
	return DeviceNode{s, s.Struct("_DEVICE_NODE", addr)}
}

// RootDeviceNode returns the root of the device tree.
func (s *System) RootDeviceNode() (DeviceNode, error) {
	addr, err := s.GlobalUint("IopRootDeviceNode", 8)
	if err == nil && addr == 0 {
		err = errors.New("IopRootDeviceNode is null")
	}
	return s.DeviceNode(addr), err
}

// Addr returns the address of the _DEVICE_NODE.
func (n DeviceNode) Addr() uint64 { return n.obj.Addr() }

// Object returns the _DEVICE_NODE itself.
func (n DeviceNode) Object() types.Object { return n.obj }

// InstancePath returns the device's path below the registry's Enum key.
func (n DeviceNode) InstancePath() (string, error) {
	return n.obj.Field("InstancePath").UnicodeString()
}

// ServiceName returns the name of the device's driver service, "" without one.
func (n DeviceNode) ServiceName() (string, error) { return n.obj.Field("ServiceName").UnicodeString() }

// Device returns the address of the physical device object.
func (n DeviceNode) Device() (uint64, error) { return n.obj.Field("PhysicalDeviceObject").Uint() }

// Links returns the addresses of the nodes around this one, 0 for none.
func (n DeviceNode) Links() (parent, sibling, child uint64, err error) {
	parent, e1 := n.obj.Field("Parent").Uint()
	sibling, e2 := n.obj.Field("Sibling").Uint()
	child, e3 := n.obj.Field("Child").Uint()
	return parent, sibling, child, errors.Join(e1, e2, e3)
}

// State returns the node's state, one of _PNP_DEVNODE_STATE.
func (n DeviceNode) State() (uint64, error) { return n.obj.Field("State").Uint() }

// DeviceNodeStarted is the state of a device that works.
const DeviceNodeStarted = 0x308

// NodeStateName returns the kernel's name of a device node's state, "" for none.
func (s *System) NodeStateName(state uint64) string { return s.enumName("_PNP_DEVNODE_STATE", state) }

// History returns the states before the last one, newest first, each with its
// place in the ring that the kernel keeps.
func (n DeviceNode) History() (places []int, states []uint64, err error) {
	ring := n.obj.Field("StateHistory")
	next, err := n.obj.Field("StateHistoryEntry").Uint()
	if err = errors.Join(err, ring.Err()); err != nil {
		return nil, nil, err
	}
	elem := ring.Type().Elem()
	if elem == nil || elem.Size == 0 {
		return nil, nil, errors.New("StateHistory is no array")
	}
	size := int(min(ring.Type().Size/elem.Size, maxHistory))
	for i := range size {
		at := (int(next%uint64(size)) - 1 - i + 2*size) % size
		v, err := ring.Index(at).Uint()
		if err != nil {
			return places, states, err
		}
		places, states = append(places, at), append(states, v)
	}
	return places, states, nil
}

const maxHistory = 256

// ProblemName returns the name of a device problem (CM_PROB_* of cfg.h), "" for none.
func ProblemName(code uint64) string {
	if code < uint64(len(problemNames)) && problemNames[code] != "" {
		return "CM_PROB_" + problemNames[code]
	}
	return ""
}

var problemNames = [...]string{
	1: "NOT_CONFIGURED", "DEVLOADER_FAILED", "OUT_OF_MEMORY", "ENTRY_IS_WRONG_TYPE", "LACKED_ARBITRATOR", "BOOT_CONFIG_CONFLICT",
	"FAILED_FILTER", "DEVLOADER_NOT_FOUND", "INVALID_DATA", "FAILED_START", "LIAR", "NORMAL_CONFLICT", "NOT_VERIFIED", "NEED_RESTART",
	"REENUMERATION", "PARTIAL_LOG_CONF", "UNKNOWN_RESOURCE", "REINSTALL", "REGISTRY", "VXDLDR", "WILL_BE_REMOVED", "DISABLED",
	"DEVLOADER_NOT_READY", "DEVICE_NOT_THERE", "MOVED", "TOO_EARLY", "NO_VALID_LOG_CONF", "FAILED_INSTALL", "HARDWARE_DISABLED",
	"CANT_SHARE_IRQ", "FAILED_ADD", "DISABLED_SERVICE", "TRANSLATION_FAILED", "NO_SOFTCONFIG", "BIOS_TABLE", "IRQ_TRANSLATION_FAILED",
	"FAILED_DRIVER_ENTRY", "DRIVER_FAILED_PRIOR_UNLOAD", "DRIVER_FAILED_LOAD", "DRIVER_SERVICE_KEY_INVALID",
	"LEGACY_SERVICE_NO_DEVICES", "DUPLICATE_DEVICE", "FAILED_POST_START", "HALTED", "PHANTOM", "SYSTEM_SHUTDOWN", "HELD_FOR_EJECT",
	"DRIVER_BLOCKED", "REGISTRY_TOO_LARGE", "SETPROPERTIES_FAILED", "WAITING_ON_DEPENDENCY", "UNSIGNED_DRIVER", "USED_BY_DEBUGGER",
	"DEVICE_RESET", "CONSOLE_LOCKED", "NEED_CLASS_CONFIG", "GUEST_ASSIGNMENT_FAILED",
}
