package smbios

// The values of enumerations, by the sections of DSP0134 that the structures have.
var (
	wakeups = names(0, "Reserved", "Other", "Unknown", "APM Timer", "Modem Ring", "LAN Remote", "Power Switch", "PCI PME#", "AC Power Restored")

	biosCharacteristics = merge(names(2, "Unknown", "BIOS Characteristics Not Supported", "ISA Supported", "MCA Supported", "EISA Supported",
		"PCI Supported", "PC Card (PCMCIA) Supported", "Plug and Play Supported", "APM Supported", "Upgradeable FLASH BIOS", "BIOS Shadowing Supported",
		"VL-VESA Supported", "ESCD Supported", "CD-Boot Supported", "Selectable Boot Supported", "BIOS ROM Socketed", "Boot From PC Card Supported",
		"EDD Supported", "NEC 9800 1.2MB Floppy Supported", "Toshiba 1.2MB Floppy Supported", "360KB Floppy Supported", "1.2MB Floppy Supported",
		"720KB Floppy Supported", "2.88MB Floppy Supported", "Print Screen Device Supported", "Keyboard Services Supported", "Serial Services Supported",
		"Printer Services Supported", "CGA/Mono Services Supported", "NEC PC-98"), map[uint8]string{0: "Reserved", 1: "Reserved"},
		every(32, 47, "BIOS Vendor Reserved"), every(48, 63, "System Vendor Reserved"))
	biosExtensions = names(0, "ACPI Supported", "USB Legacy Supported", "AGP Supported", "I2O Boot Supported", "LS-120 Boot Supported",
		"ATAPI ZIP Drive Boot Supported", "1394 Boot Supported", "Smart Battery Supported", "BIOS Boot Specification Supported",
		"Function Key Network Boot Supported", "Targeted Content Distribution Supported", "UEFI Specification Supported", "Virtual Machine")

	boardFeatures = names(0, "Hosting Board", "Requires Daughter Board", "Removable", "Replaceable", "Hot Swappable")
	boardTypes    = names(1, "Unknown", "Other", "Server Blade", "Connectivity Switch", "System Management Module", "Processor Module", "I/O Module",
		"Memory Module", "Daughter Board", "Motherboard", "Processor/Memory Module", "Processor/IO Module", "Interconnect Board")

	chassisTypes = names(1, "Other", "Unknown", "Desktop", "Low Profile Desktop", "Pizza Box", "Mini Tower", "Tower", "Portable", "Laptop", "Notebook",
		"Hand Held", "Docking Station", "All in One", "Sub Notebook", "Space-saving", "Lunch Box", "Main Server Chassis", "Expansion Chassis", "Sub Chassis",
		"Bus Expansion Chassis", "Peripheral Chassis", "RAID Chassis", "Rack Mount Chassis", "Sealed-case PC", "Multi-system Chassis", "Compact PCI",
		"Advanced TCA", "Blade", "Blade Enclosure", "Tablet", "Convertible", "Detachable", "IoT Gateway", "Embedded PC", "Mini PC", "Stick PC")
	chassisStates  = names(1, "Other", "Unknown", "Safe", "Warning", "Critical", "Non-recoverable")
	securityStates = names(1, "Other", "Unknown", "None", "External Interface Locked Out", "External Interface Enabled")

	processorTypes    = names(1, "Other", "Unknown", "Central Processor", "Math Processor", "DSP Processor", "Video Processor")
	processorStates   = names(0, "Unknown", "Enabled", "Disabled by User", "Disabled by BIOS", "Idle", "Reserved", "Reserved", "Other")
	processorUpgrades = merge(names(1, "Other", "Unknown", "Daughter Board", "ZIF Socket", "Replaceable Piggy Back", "None", "LIF Socket", "Slot 1", "Slot 2",
		"370-pin Socket", "Slot A", "Slot M", "Socket 423", "Socket A (Socket 462)", "Socket 478", "Socket 754", "Socket 940", "Socket 939",
		"Socket mPGA604", "Socket LGA771", "Socket LGA775", "Socket S1", "Socket AM2", "Socket F (1207)", "Socket LGA1366", "Socket G34", "Socket AM3",
		"Socket C32", "Socket LGA1156", "Socket LGA1567", "Socket PGA988A", "Socket BGA1288"), map[uint8]string{
		0x23: "Socket rPGA988B", 0x24: "Socket BGA1023", 0x25: "Socket BGA1224", 0x26: "Socket LGA1155", 0x27: "Socket LGA1356", 0x28: "Socket LGA2011",
		0x29: "Socket FS1", 0x2a: "Socket FS2", 0x2b: "Socket FM1", 0x2c: "Socket FM2", 0x2d: "Socket LGA2011-3", 0x2e: "Socket LGA1356-3",
		0x2f: "Socket LGA1150", 0x30: "Socket BGA1168", 0x31: "Socket BGA1234", 0x32: "Socket BGA1364", 0x33: "Socket AM4", 0x34: "Socket LGA1151",
		0x35: "Socket BGA1356", 0x36: "Socket BGA1440", 0x37: "Socket BGA1515", 0x38: "Socket LGA3647-1", 0x39: "Socket SP3", 0x3a: "Socket SP3r2",
		0x3b: "Socket LGA2066", 0x3c: "Socket BGA1392", 0x3d: "Socket BGA1510", 0x3e: "Socket BGA1528",
	})
	processorFamilies = map[uint16]string{
		1: "Other", 2: "Unknown", 0x28: "Intel Core Duo Processor", 0x2b: "Intel Atom Processor", 0x6b: "AMD Zen Processor Family",
		0xb3: "Intel Xeon Processor", 0xbf: "Intel Core 2 Duo Processor", 0xc6: "Intel Core i7 Processor", 0xcd: "Intel Core i5 Processor",
		0xce: "Intel Core i3 Processor", 0xcf: "Intel Core i9 Processor", 0x100: "ARMv7", 0x101: "ARMv8", 0x102: "ARMv9",
	}

	cacheECC        = names(1, "Other", "Unknown", "None", "Parity", "Single-Bit ECC", "Multi-Bit ECC")
	cacheTypes      = names(1, "Other", "Unknown", "Instruction", "Data", "Unified")
	associativities = names(1, "Other", "Unknown", "Direct Mapped", "2-way Set-Associative", "4-way Set-Associative", "Fully Associative",
		"8-way Set-Associative", "16-way Set-Associative", "12-way Set-Associative", "24-way Set-Associative", "32-way Set-Associative",
		"48-way Set-Associative", "64-way Set-Associative", "20-way Set-Associative")

	arrayLocations = names(1, "Other", "Unknown", "SystemBoard/Motherboard", "ISA add-on card", "EISA add-on card", "PCI add-on card", "MCA add-on card",
		"PCMCIA add-on card", "Proprietary add-on card", "NuBus")
	arrayUses = names(1, "Other", "Unknown", "System Memory", "Video Memory", "Flash Memory", "Non-volatile RAM", "Cache Memory")
	arrayECC  = names(1, "Other", "Unknown", "None", "Parity", "Single-bit ECC", "Multi-bit ECC", "CRC")

	formFactors = names(1, "Other", "Unknown", "SIMM", "SIP", "Chip", "DIP", "ZIP", "Proprietary Card", "DIMM", "TSOP", "Row of chips", "RIMM", "SODIMM",
		"SRIMM", "FB-DIMM", "Die")
	memoryTypes = names(1, "Other", "Unknown", "DRAM", "EDRAM", "VRAM", "SRAM", "RAM", "ROM", "FLASH", "EEPROM", "FEPROM", "EPROM", "CDRAM", "3DRAM", "SDRAM",
		"SGRAM", "RDRAM", "DDR", "DDR2", "DDR2 FB-DIMM", reserved, reserved, reserved, "DDR3", "FBD2", "DDR4", "LPDDR", "LPDDR2", "LPDDR3", "LPDDR4",
		"Logical non-volatile device", "HBM", "HBM2", "DDR5", "LPDDR5", "HBM3")
	memoryDetails = []string{
		"Other", "Unknown", "Fast-paged", "Static column", "Pseudo-static", "RAMBUS", "Synchronous", "CMOS", "EDO", "Window DRAM",
		"Cache DRAM", "Non-volatile", "Registered", "Unbuffered", "LRDIMM",
	}
)

func merge(maps ...map[uint8]string) map[uint8]string {
	all := map[uint8]string{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// every gives all numbers of a range one name.
func every(first, last uint8, name string) map[uint8]string {
	m := map[uint8]string{}
	for i := first; i <= last; i++ {
		m[i] = name
	}
	return m
}
