package analyze

import (
	"fmt"
	"strings"

	"kdap/engine/memory"
	"kdap/engine/whea"
)

// examineHardware reads the error record.
func examineHardware(x *examiner) {
	x.r.hardware = true
	at := x.arg(2)
	if at == 0 {
		return
	}
	x.detail("WHEA_ERROR_RECORD", "%016x (!errrec %016x)", at, at)
	rec, err := ReadErrorRecord(x.space, at)
	if err != nil {
		x.missing(fmt.Sprintf("error record at %#x", at), err)
	}
	if rec == nil {
		return
	}
	x.r.ErrorRecord = rec
	for i, s := range rec.Sections {
		text := s.Name()
		if s.Primary() {
			text += " (primary)"
		}
		for _, f := range s.Facts() {
			text += "\n    " + f
		}
		x.detail(fmt.Sprintf("WHEA_SECTION_%d", i), "%s", text)
	}
	const machineCheck = 0
	if x.arg(1) == machineCheck {
		status := x.arg(3)<<32 | x.arg(4)&0xffffffff
		x.detail("MCI_STATUS", "%016x %s", status, whea.MachineCheck(status))
	}
}

// ReadErrorRecord reads the WHEA error record at an address.
func ReadErrorRecord(space memory.Space, at uint64) (*whea.Record, error) {
	head, err := memory.ReadBytes(space, at, whea.HeaderSize)
	if err != nil {
		return nil, err
	}
	n, err := whea.Length(head)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	got, rerr := space.Read(at, b)
	rec, err := whea.Parse(b[:max(got, 0)])
	if err == nil && got < n {
		err = rerr
	}
	return rec, err
}

// hardwareBucket names a crash after the part that failed.
func hardwareBucket(r *Report) string {
	text := fmt.Sprintf("0x124_%x", r.param(1))
	if r.ErrorRecord == nil {
		return text
	}
	if v := r.ErrorRecord.Vendor(); v != "" {
		text += "_" + v
	}
	if s := r.ErrorRecord.Primary(); s != nil {
		text += "_" + strings.ToUpper(strings.NewReplacer(" ", "_", "/", "_").Replace(s.Kind()))
		if k := s.ErrorKind(); k != "" {
			text += "_" + k
		}
	}
	return text
}
