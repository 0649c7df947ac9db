package command

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"kdap/engine/smbios"
	"kdap/engine/windows"
	"kdap/engine/windows/machine"
)

func sysinfoCommands() []*Command { return []*Command{cmdSysinfo()} }

func cmdSysinfo() *Command {
	return &Command{
		Names: []string{"!sysinfo"}, Args: "cpuinfo | cpumicrocode | cpuspeed | gbl | machineid | registers | smbios [-csv [-noheaders]] [-debug -devices -memory -power -processor -system -v]",
		Short: "what firmware and registry say of the machine and its processor",
		Run:   runSysinfo,
	}
}

const sysinfoUsage = `!sysinfo [cpuinfo|cpumicrocode|cpuspeed|gbl|machineid [-csv [-noheaders]]] |
         [registers] |
         [smbios [-csv [-noheaders]] {-debug -devices -memory -power -processor -system -v}]
`

// sysinfoOptions are the options of !sysinfo.
type sysinfoOptions struct {
	csv, noHeaders, debug, verbose bool
	kinds                          map[uint8]bool // of structures; nil for all
}

// sysinfoKinds are the structures that an option chooses.
var sysinfoKinds = map[string][]uint8{
	"devices":   {8, 9, 10, 21, 26, 27, 28, 29, 34, 35, 36, 41, 43},
	"memory":    {5, 6, 16, 17, 18, 19, 20, 33, 37},
	"power":     {22, 25, 39},
	"processor": {4, 7, 44},
	"system":    {0, 1, 2, 3, 11, 12, 13, 15, 23, 24, 32},
}

func parseSysinfoOptions(c *Call) (o sysinfoOptions, ok bool) {
	for !c.Args.Done() {
		word := strings.ToLower(c.Word())
		name, isOption := strings.CutPrefix(word, "-")
		if !isOption {
			return o, false
		}
		switch name {
		case "csv":
			o.csv = true
		case "noheaders":
			o.noHeaders = true
		case "debug":
			o.debug = true
		case "v":
			o.verbose = true
		default:
			kinds, known := sysinfoKinds[name]
			if !known {
				return o, false
			}
			if o.kinds == nil {
				o.kinds = map[uint8]bool{}
			}
			for _, k := range kinds {
				o.kinds[k] = true
			}
		}
	}
	return o, true
}

func runSysinfo(ctx context.Context, s *Session, c *Call) error {
	word := strings.ToLower(c.Word())
	o, ok := parseSysinfoOptions(c)
	run := map[string]func(context.Context, sysinfoOptions) error{
		"cpuinfo": s.sysinfoCPU, "cpumicrocode": s.sysinfoMicrocode, "cpuspeed": s.sysinfoSpeed, "gbl": s.sysinfoTables,
		"machineid": s.sysinfoMachine, "smbios": s.sysinfoSMBIOS, "registers": s.sysinfoRegisters,
	}[word]
	if run == nil || !ok {
		s.printf("%s", sysinfoUsage)
		return nil
	}
	return run(ctx, o)
}

// noSysinfo is what the debugger says where data is missing; why is a note.
func (s *Session) noSysinfo(why error) error {
	s.printf("sysinfo: could not find necessary interfaces.\n")
	s.printf("sysinfo: note that mssmbios.sys must be loaded (XPSP2+).\n")
	s.notef("!sysinfo: %v", why)
	return ErrFailed
}

// regTypes spells the types of registry values.
var regTypes = map[uint32]string{
	0: "REG_NONE", windows.RegSZ: "REG_SZ", windows.RegExpandSZ: "REG_EXPAND_SZ", windows.RegBinary: "REG_BINARY", windows.RegDword: "REG_DWORD",
	5: "REG_DWORD_BIG_ENDIAN", 6: "REG_LINK", 7: "REG_MULTI_SZ", 8: "REG_RESOURCE_LIST", windows.RegFullDescriptor: "REG_FULL_RESOURCE_DESCRIPTOR",
	10: "REG_RESOURCE_REQUIREMENTS_LIST", windows.RegQword: "REG_QWORD",
}

// hardwareText spells a value: numbers of 32 bits in decimal, of 64 in
// hexadecimal, the first 16 bytes of the rest.
func hardwareText(v windows.HardwareValue) string {
	switch n, ok := v.Number(); {
	case ok && v.Type == windows.RegQword:
		return strconv.FormatUint(n, 16)
	case ok:
		return fmt.Sprint(n)
	case v.Type == windows.RegSZ || v.Type == windows.RegExpandSZ:
		return visible(v.Text())
	}
	var all []string
	for _, b := range v.Data[:min(len(v.Data), 16)] {
		all = append(all, strconv.FormatUint(uint64(b), 16))
	}
	return strings.Join(all, ",")
}

func typeText(t uint32) string {
	if n, ok := regTypes[t]; ok {
		return n
	}
	return fmt.Sprintf("%x", t)
}

func (s *Session) sysinfoCPU(ctx context.Context, o sysinfoOptions) error {
	values, err := machine.Processor(ctx, s.sys)
	if len(values) == 0 {
		return s.noSysinfo(err)
	}
	values = s.withMicrocode(values)
	switch {
	case !o.csv:
		s.printf("[CPU Information]\n")
	case !o.noHeaders:
		s.printf("Name,Type,Value\n")
	}
	for _, v := range values {
		if o.csv {
			s.printf("%s,%s,\"%s\"\n", visible(v.Name), typeText(v.Type), hardwareText(v))
			continue
		}
		s.printf("%s = %s %s\n", visible(v.Name), typeText(v.Type), hardwareText(v))
	}
	if err != nil {
		s.notef("%v", err)
	}
	return nil
}

// microcodeValue is the name that the revision of the microcode has among the
// processor's values: the model-specific register it is read from.
const microcodeValue = "MSR8B"

// withMicrocode adds the microcode's revision, which the processor's block has.
func (s *Session) withMicrocode(values []windows.HardwareValue) []windows.HardwareValue {
	if _, ok := namedValue(values, microcodeValue); ok {
		return values
	}
	c, err := s.sys.Processor(s.sys.CrashProcessor())
	if err != nil {
		return values
	}
	sig, err := c.UpdateSignature()
	if err != nil || sig == 0 {
		return values
	}
	data := make([]byte, 0, 8)
	for i := range 8 {
		data = append(data, byte(sig>>(8*i)))
	}
	return append(values, windows.HardwareValue{Name: microcodeValue, Type: windows.RegQword, Data: data})
}

func namedValue(values []windows.HardwareValue, name string) (windows.HardwareValue, bool) {
	for _, v := range values {
		if strings.EqualFold(v.Name, name) {
			return v, true
		}
	}
	return windows.HardwareValue{}, false
}

func (s *Session) sysinfoMachine(ctx context.Context, o sysinfoOptions) error {
	t, err := machine.SMBIOS(ctx, s.sys)
	if err != nil {
		return s.machineOfRegistry(ctx, o, err)
	}
	head := fmt.Sprintf("Machine ID Information [From Smbios %d.%d, DMIVersion %d, Size=%d]\n", t.Major, t.Minor, t.DMIRevision, t.Size)
	s.showMachine(t.Machine(), head, o)
	s.noteTable(t)
	return nil
}

// machineOfRegistry shows the machine's names from the registry's copy of them,
// where no table is. Heading and order are those of the table's.
func (s *Session) machineOfRegistry(ctx context.Context, o sysinfoOptions, why error) error {
	all, err := machine.BIOS(ctx, s.sys)
	if len(all) == 0 {
		return s.noSysinfo(errors.Join(why, err))
	}
	s.showMachine(all, "Machine ID Information [From Registry]\n", o)
	s.notef("%v", why)
	return nil
}

func (s *Session) showMachine(values []smbios.Value, head string, o sysinfoOptions) {
	if o.csv {
		var names, texts []string
		for _, v := range values {
			names = append(names, v.Name)
			texts = append(texts, `"`+visible(v.Text)+`"`)
		}
		if !o.noHeaders {
			s.printf("%s\n", strings.Join(names, ","))
		}
		s.printf("%s\n", strings.Join(texts, ","))
		return
	}
	s.printf("%s", head)
	for _, v := range values {
		s.printf("%s = %s\n", v.Name, visible(v.Text))
	}
}

// noteTable tells where a table breaks off.
func (s *Session) noteTable(t *smbios.Table) {
	for _, err := range t.Structures() {
		if err != nil {
			s.notef("%v", err)
		}
	}
	if int(t.Size) > len(t.Data) {
		s.notef("SMBIOS table: %d of its %d bytes are in the dump", len(t.Data), t.Size)
	}
}

func (s *Session) sysinfoSMBIOS(ctx context.Context, o sysinfoOptions) error {
	t, err := machine.SMBIOS(ctx, s.sys)
	if err != nil {
		return s.noSysinfo(err)
	}
	called := "No"
	if t.Calling20 {
		called = "Yes"
	}
	if !o.csv {
		s.printf("[SMBIOS Data Tables v%d.%d]\n[DMI Version - %d]\n[2.0 Calling Convention - %s]\n[Table Size - %d bytes]\n",
			t.Major, t.Minor, t.DMIRevision, called, t.Size)
	} else if !o.noHeaders {
		s.printf("Type,Handle,Name,Value\n")
	}
	for st, err := range t.Structures() {
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		if err != nil || o.kinds != nil && !o.kinds[st.Type] || st.Type == smbios.TypeEnd && !o.verbose {
			continue
		}
		s.showStructure(st, o)
	}
	s.noteTable(t)
	return nil
}

func (s *Session) showStructure(st smbios.Structure, o sysinfoOptions) {
	title := smbios.Title(st.Type)
	if title == "" {
		title = "OEM Specific"
	}
	if o.csv {
		for _, f := range st.Fields() {
			s.printf("%d,%04x,%s,\"%s\"\n", st.Type, st.Handle, strings.TrimSpace(f.Label), visible(f.Text))
		}
		return
	}
	s.printf("[%s (Type %d) - Length %d - Handle %04xh]\n", title, st.Type, len(st.Data), st.Handle)
	fields := st.Fields()
	for _, f := range fields {
		s.printf("  %-30s%s\n", f.Label, visible(f.Text))
		for _, line := range f.Lines {
			s.printf("       %s\n", line)
		}
	}
	if o.debug || o.verbose && fields == nil {
		s.showBytes(st.Data)
		if fields == nil {
			for i, text := range st.Strings {
				s.printf("  String %-23d%s\n", i+1, visible(text))
			}
		}
	}
}

// clockInName finds the clock that a processor's name tells: "@ 1.80GHz".
var clockInName = regexp.MustCompile(`@\s*([0-9]+(?:\.[0-9]+)?)\s*([GM])Hz`)

func (s *Session) sysinfoSpeed(ctx context.Context, _ sysinfoOptions) error {
	values, err := machine.Processor(ctx, s.sys)
	if len(values) == 0 {
		return s.noSysinfo(err)
	}
	name := ""
	if v, ok := namedValue(values, "ProcessorNameString"); ok {
		name = v.Text()
	}
	s.printf("CPUID:        \"%s\"\n", visible(name))
	if mhz := s.maxSpeed(ctx, name); mhz != 0 {
		s.printf("MaxSpeed:     %d\n", mhz)
	}
	if v, ok := namedValue(values, "~MHz"); ok {
		if n, ok := v.Number(); ok {
			s.printf("CurrentSpeed: %d\n", n)
		}
	}
	return nil
}

// maxSpeed is the clock in the processor's name, else what firmware says.
func (s *Session) maxSpeed(ctx context.Context, name string) uint64 {
	if m := clockInName.FindStringSubmatch(name); m != nil {
		if f, err := strconv.ParseFloat(m[1], 64); err == nil && f < 1e6 {
			if m[2] == "G" {
				f *= 1000
			}
			return uint64(f + 0.5)
		}
	}
	t, err := machine.SMBIOS(ctx, s.sys)
	if err != nil {
		return 0
	}
	for st := range t.Structures() {
		if p, ok := st.Processor(); ok {
			return uint64(p.MaxSpeed)
		}
	}
	return 0
}

func (s *Session) sysinfoMicrocode(ctx context.Context, _ sysinfoOptions) error {
	c, err := s.sys.Processor(s.sys.CrashProcessor())
	if err != nil {
		return s.noSysinfo(err)
	}
	cached, initial, _, _ := s.updateSignatures(ctx)
	if cached == 0 {
		cached, _ = c.UpdateSignature()
	}
	s.printf("Initial Microcode Version: %s\n", microcodeText(initial))
	s.printf("Cached Microcode Version:  %s\n", microcodeText(cached))
	family, model, stepping, err := c.Model()
	if err != nil {
		s.notef("family, model and stepping: %v", err)
		return nil
	}
	s.printf("Processor Family:          %02x\nProcessor Model:           %02x\nProcessor Stepping:        %02x\n", family, model, stepping)
	return nil
}

func microcodeText(v uint64) string {
	if v == 0 {
		return "00000000:00000000"
	}
	return fmt.Sprintf("%x:%08x", v>>32, uint32(v))
}

// updateSignatures returns the revisions of the microcode that the registry's
// values have: the present one and the one firmware had loaded. The copy in the
// dump's secondary data has not all values of the key.
func (s *Session) updateSignatures(ctx context.Context) (cached, initial uint64, hasCached, hasInitial bool) {
	values, _ := machine.ProcessorKey(ctx, s.sys, 0)
	saved, _, _ := s.sys.SavedProcessorValues()
	values = append(values, saved...)
	read := func(name string) (uint64, bool) {
		v, ok := namedValue(values, name)
		if !ok || len(v.Data) < 8 {
			return 0, false
		}
		n := uint64(0)
		for i := range 8 {
			n |= uint64(v.Data[i]) << (8 * i)
		}
		return n, true
	}
	cached, hasCached = read("Update Signature")
	initial, hasInitial = read("Previous Update Signature")
	return cached, initial, hasCached, hasInitial
}

// sysinfoTables is the list of the firmware's ACPI tables.
func (s *Session) sysinfoTables(ctx context.Context, _ sysinfoOptions) error {
	tables, err := machine.ACPITables(ctx, s.sys)
	if len(tables) == 0 {
		return s.noSysinfo(fmt.Errorf("the dump holds no ACPI tables, neither its secondary data nor its registry: %w", err))
	}
	s.printf("[ACPI Global List]\n")
	s.printf("Name  Revision  Length    OEM ID  OEM Table ID  OEM Revision  Creator\n")
	for _, t := range tables {
		s.printf("%-4s  %-8d  %08x  %-6s  %-12s  %08x      %s %08x\n", t.Signature, t.Revision, t.Length,
			visible(strings.TrimRight(t.OEM, "\x00 ")), visible(strings.TrimRight(t.OEMTable, "\x00 ")), t.OEMRevision,
			visible(strings.TrimRight(t.Creator, "\x00 ")), t.CreatorRevision)
	}
	return nil
}

// sysinfoRegisters shows what the firmware driver kept of the machine's
// registers. No description of it is public: these are its bytes.
func (s *Session) sysinfoRegisters(ctx context.Context, _ sysinfoOptions) error {
	b, err := machine.FirmwareData(ctx, s.sys, "RegistersData")
	if len(b) == 0 {
		return s.noSysinfo(fmt.Errorf("the machine's registers are not in the dump: %w", err))
	}
	s.printf("[Machine Specific Registers - %d bytes]\n", len(b))
	s.showBytes(b)
	return nil
}

func (s *Session) showBytes(b []byte) {
	for i := 0; i < len(b); i += 16 {
		s.printf("  %04x: % x\n", i, b[i:min(i+16, len(b))])
	}
}
