package dump

import (
	"encoding/binary"
	"unicode/utf8"
)

// A format is what a file's first bytes say it is.
type format uint8

const (
	formatOther format = iota
	formatKernel64
	formatKernel32
	formatUser
	formatELFCore
	formatLiME
	formatVMware
	formatHibernation
	formatCabinet
	formatZip
	formatZstd
	formatOtherArchive
	formatImage
	formatText
	formatTooShort
)

// sniff looks at the first bytes of a file.
func sniff(b []byte) format {
	if len(b) < 8 {
		return formatTooShort
	}
	le := binary.LittleEndian
	switch {
	case string(b[:8]) == "PAGEDU64":
		return formatKernel64
	case string(b[:8]) == "PAGEDUMP":
		return formatKernel32
	case string(b[:4]) == "MDMP" && le.Uint16(b[4:]) == 0xa793:
		return formatUser
	case string(b[:4]) == "\x7fELF":
		if len(b) >= 18 && le.Uint16(b[16:]) == 4 {
			return formatELFCore
		}
		return formatImage
	case string(b[:2]) == "MZ":
		return formatImage
	case string(b[:4]) == "MSCF":
		return formatCabinet
	case string(b[:4]) == "PK\x03\x04", string(b[:4]) == "PK\x05\x06":
		return formatZip
	}
	switch string(b[:4]) {
	case "EMiL":
		return formatLiME
	case "hibr", "HIBR", "wake", "WAKE", "RSTR", "rstr":
		return formatHibernation
	case "7z\xbc\xaf", "Rar!", "\xfd7zX":
		return formatOtherArchive
	}
	switch m := le.Uint32(b); {
	case m == 0xbed2bed0, m == 0xbed2bed2, m == 0xbed3bed3, m == 0xbad1bad1:
		return formatVMware
	case m == 0xfd2fb528, m&^0xf == 0x184d2a50: // a frame, or a skippable one before it
		return formatZstd
	case m&0xffff == 0x8b1f:
		return formatOtherArchive
	}
	if isText(b[:min(len(b), 512)]) {
		return formatText
	}
	return formatOther
}

func isText(b []byte) bool {
	if (b[0] == 0xff && b[1] == 0xfe) || (b[0] == 0xfe && b[1] == 0xff) { // UTF-16
		return true
	}
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && len(b) >= utf8.UTFMax {
			return false
		}
		if r < ' ' && r != '\t' && r != '\n' && r != '\r' && r != '\f' && r != '\x1b' {
			return false
		}
		b = b[n:]
	}
	return true
}

// refusals say, for what is known but not read, what it is and what to do.
var refusals = map[format]OpenError{
	formatKernel32: {Reason: Format32, Msg: "a kernel dump of 32-bit Windows (PAGEDUMP): kdap reads dumps of 64-bit Windows only, open it in WinDbg"},
	formatUser:     {Reason: UserDump, Msg: "a user-mode minidump (MDMP): it holds one process and no kernel"},
	formatELFCore:  {Reason: ELFCore, Msg: "an ELF core of a virtual machine: have the hypervisor write a Windows dump instead (QEMU: dump-guest-memory -w)"},
	formatLiME:     {Reason: LiME, Msg: "a LiME memory image, which kdap does not read: acquire the memory as a Windows crash dump"},
	formatVMware:   {Reason: VMware, Msg: "a VMware suspend or snapshot state file: turn it into a Windows crash dump with VMware's vmss2core -W8 and open that"},
	formatHibernation: {Reason: Hibernation, Msg: "a Windows hibernation file, whose pages are compressed in a form of its own: " +
		"kdap does not read it, convert it to a crash dump first"},
	formatCabinet:      {Reason: Cabinet, Msg: "a cabinet archive (.cab): unpack it (expand -F:* FILE FOLDER, or cabextract) and open the .dmp file from it"},
	formatOtherArchive: {Reason: Archive, Msg: "a compressed archive that is neither .zip nor .zst: unpack it and open the .dmp file from it"},
	formatImage:        {Reason: Image, Msg: "a program or library, not a memory dump"},
	formatText:         {Reason: Text, Msg: "a text file, not a memory dump"},
	formatTooShort:     {Reason: TooShort, Msg: "the file has only a few bytes: too short for any kind of dump"},
	formatOther: {Reason: NotADump, Msg: "not a dump of a known kind: a 64-bit kernel dump starts with PAGEDU64 " +
		"(if this is a raw memory image, convert it to a crash dump)"},
}

func refuse(path string, f format) *OpenError {
	e := refusals[f]
	e.Path = path
	return &e
}
