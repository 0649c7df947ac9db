package windows

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"kdap/engine/memory"
	"kdap/engine/types"
)

// A Counter is one of the memory manager's figures, under the name that !vm
// has for it.
type Counter struct {
	Name  string
	Pages uint64
	Err   error // why it could not be read
}

// VirtualMemory is what the memory manager counts, as !vm shows it.
type VirtualMemory struct {
	PagingFiles []PagingFile
	// Counters are in the order of !vm. Those that the build does not have are
	// left out.
	Counters []Counter
	// Failures of the kernel's stacks: zero on a healthy system.
	StackPteFailures, StackGrowthFailures uint64
	Processes                             []ProcessCommit // the largest first
	Sessions                              []SessionCommit

	Errs []error // what ended the lists of paging files, sessions and processes early
}

// A PagingFile is one of the system's paging files; all sizes are in pages.
type PagingFile struct {
	Addr                         uint64
	Name                         string // "" for the store of compressed memory
	Size, Free, Minimum, Maximum uint64
	Err                          error
}

// A ProcessCommit is what a process is charged for, in pages.
type ProcessCommit struct {
	Process Process
	PID     uint64
	Name    string
	Commit  uint64
	Shared  uint64
	Debt    uint64
}

// A SessionCommit is what a session is charged for, in pages.
type SessionCommit struct {
	Addr   uint64 // _MM_SESSION_SPACE
	ID     uint64
	Commit uint64
	// Paged is the session's paged pool; builds since Windows 10 keep none.
	Paged    uint64
	HasPaged bool
}

// Names of the counters that others depend on.
const (
	counterTotalPrivate = "Total Private"
	counterSum          = "Sum System Commit"
	counterMisc         = "Misc/Transient Commit"
	counterCommitted    = "Committed pages"
)

// VirtualMemory reads the figures. What cannot be read is told where it
// stands; the rest is there.
//
// Sources: names of the kernel's public types (_MI_VISIBLE_PARTITION and
// _MI_VISIBLE_STATE, which the memory manager keeps for debuggers), before them
// the globals of the same names; sums as published outputs have them.
func (s *System) VirtualMemory(ctx context.Context) VirtualMemory {
	r := vmReader{sys: s, ctx: ctx}
	r.partition = s.Global("MiSystemPartition", "_MI_PARTITION")
	r.state = s.Global("MiState", "_MI_SYSTEM_INFORMATION")
	r.processes()
	if err := r.unknown(); err != nil {
		r.vm.Errs = append(r.vm.Errs, err)
		return r.vm
	}
	r.pagingFiles()
	r.memory()
	r.pools()
	r.commit()
	r.failures()
	return r.vm
}

type vmReader struct {
	sys              *System
	ctx              context.Context
	partition, state types.Object
	vm               VirtualMemory
	sum              uint64 // of the parts of the system's commit
	private          uint64 // commit of all processes
}

// unknown tells why none of the counters can be had: the kernel's symbols
// describe neither its newer structures nor its older variables, or the dump
// does not hold them.
func (r *vmReader) unknown() error {
	_, ok, err := r.read(physicalPages)
	switch {
	case err != nil:
		return fmt.Errorf("the memory manager's counters cannot be read: %w", err)
	case !ok:
		return fmt.Errorf("the memory manager's counters cannot be found without the kernel's symbols: %w", r.partition.Err())
	}
	return nil
}

// A vmSource is where a counter is, by the families of builds: the first that
// exists is taken.
type vmSource struct {
	partition string // member of _MI_PARTITION
	state     string // member of _MI_SYSTEM_INFORMATION
	global    string // variable of the kernel
	globalLen int    // its size, 8 unless said
}

// read returns a counter's value; false where the build has no such counter.
func (r *vmReader) read(src vmSource) (uint64, bool, error) {
	for _, m := range []struct {
		o    types.Object
		path string
	}{{r.partition, src.partition}, {r.state, src.state}} {
		if m.path == "" || m.o.Err() != nil {
			continue
		}
		f := m.o.Field(m.path)
		var missing *types.NoFieldError
		if errors.As(f.Err(), &missing) {
			continue
		}
		if f.Type() != nil && f.Type().Size < 8 { // signed ones exist
			v, err := f.Int()
			return uint64(max(v, 0)), true, err
		}
		v, err := f.Uint()
		return v, true, err
	}
	if src.global == "" {
		return 0, false, nil
	}
	size := cmp.Or(src.globalLen, 8)
	v, err := r.sys.GlobalUint(src.global, size)
	var none *NoSymbolError
	if errors.As(err, &none) {
		return 0, false, nil
	}
	return v, true, err
}

func (r *vmReader) add(name string, pages uint64, err error) {
	r.vm.Counters = append(r.vm.Counters, Counter{name, pages, err})
}

// counter adds a counter where the build has it, and returns its value.
func (r *vmReader) counter(name string, src vmSource) uint64 {
	v, ok, err := r.read(src)
	if !ok {
		return 0
	}
	r.add(name, v, err)
	if err != nil {
		return 0
	}
	return v
}

// charge adds a part of the system's commit.
func (r *vmReader) charge(name string, src vmSource) { r.sum += r.counter(name, src) }

// orZero adds a line for a figure that this build does not keep any more, and
// which is zero there.
func (r *vmReader) orZero(name string, src vmSource) uint64 {
	v, ok, err := r.read(src)
	if !ok {
		v, err = 0, nil
	}
	r.add(name, v, err)
	if err != nil {
		return 0
	}
	return v
}

var physicalPages = vmSource{partition: "Vp.NumberOfPhysicalPages", global: "MmNumberOfPhysicalPages"}

func (r *vmReader) memory() {
	r.counter("Physical Memory", physicalPages)
	r.counter("Available Pages", vmSource{partition: "Vp.AvailablePages", global: "MmAvailablePages"})
	r.counter("ResAvail Pages", vmSource{partition: "Vp.ResidentAvailablePages", global: "MmResidentAvailablePages"})
	// Pages that drivers locked were counted until Windows 7.
	r.orZero("Locked IO Pages", vmSource{global: "MmLockPagesCount"})
	r.counter("Free System PTEs", vmSource{state: "Vs.SystemPteInfo.TotalFreeSystemPtes", global: "MmTotalFreeSystemPtes"})
	r.counter("Modified Pages", vmSource{partition: "Vp.ModifiedPageListHead.Total", global: "MmModifiedPageListHead"})
	r.counter("Modified PF Pages", vmSource{partition: "Vp.TotalPagesForPagingFile", global: "MmTotalPagesForPagingFile"})
	r.counter("Modified No Write Pages", vmSource{partition: "Vp.ModifiedNoWritePageListHead.Total", global: "MmModifiedNoWritePageListHead"})
}

func (r *vmReader) pools() {
	r.nonPagedPool()
	r.counter("NonPagedPool Max", vmSource{state: "Vs.MaximumNonPagedPoolInPages"})
	r.counter("PagedPool Usage", pagedPool)
	r.counter("PagedPool Maximum", vmSource{state: "Vs.SizeOfPagedPoolInPages"})
}

var pagedPool = vmSource{state: "Vs.PagedPoolInfo.AllocatedPagedPool"}

// nonPagedPool adds the pages of the pools, a line a node where there are
// several nodes.
func (r *vmReader) nonPagedPool() {
	nodes, err := r.poolNodes()
	if err != nil {
		r.add("NonPagedPool Usage", 0, err)
		r.add("NonPagedPoolNx Usage", 0, err)
		return
	}
	var total [2]Counter
	for i, node := range nodes {
		for j := range total {
			name := [2]string{"NonPagedPool", "NonPagedPoolNx"}[j]
			total[j].Name = name + " Usage"
			total[j].Pages += node[j].Pages
			total[j].Err = errors.Join(total[j].Err, node[j].Err)
			if len(nodes) > 1 {
				r.add(fmt.Sprintf("%s %d", name, i), node[j].Pages, node[j].Err)
			}
		}
	}
	r.vm.Counters = append(r.vm.Counters, total[:]...)
}

// poolNodes returns the executable and the other nonpaged pool of each node.
func (r *vmReader) poolNodes() ([][2]Counter, error) {
	pools := r.sys.Global("ExPoolState", "_EX_POOL_HEAP_MANAGER_STATE")
	if pools.Err() != nil {
		return r.poolDescriptors()
	}
	nodes := pools.Field("PoolNode")
	n, err := pools.Field("NumberOfPools").Uint()
	if err != nil {
		return nil, fmt.Errorf("pools: %w", err)
	}
	if t := nodes.Type(); n == 0 || t == nil || n > t.Count {
		return nil, fmt.Errorf("pools: %d nodes are claimed", n)
	}
	var out [][2]Counter
	for i := range int(n) {
		var node [2]Counter
		for j := range node {
			heap := nodes.Index(i).Field("Heaps").Index(j).Deref()
			if errors.Is(heap.Err(), types.ErrNull) {
				continue
			}
			node[j].Pages, node[j].Err = heap.Field("MemStats.TotalCommittedPages").Uint()
		}
		out = append(out, node)
	}
	return out, nil
}

// poolDescriptors is poolNodes for kernels before the pool was made of heaps:
// nt!PoolVector has the descriptors of the system's pools by their type.
func (r *vmReader) poolDescriptors() ([][2]Counter, error) {
	vector, err := r.sys.Symbol("PoolVector")
	if err != nil {
		return nil, err
	}
	addr, err := memory.ReadUint(r.sys.kernel, vector, 8)
	if err != nil {
		return nil, err
	}
	var node [2]Counter
	node[0].Pages, node[0].Err = r.descriptorPages(addr)
	// Systems with a pool that cannot be executed have a descriptor of its own for it.
	if nx, err := r.sys.Symbol("NonPagedPoolDescriptorNx"); err == nil {
		node[1].Pages, node[1].Err = r.descriptorPages(nx)
	}
	return [][2]Counter{node}, nil
}

func (r *vmReader) descriptorPages(addr uint64) (uint64, error) {
	d := r.sys.Struct("_POOL_DESCRIPTOR", addr)
	small, err1 := d.FirstField("TotalPages").Uint()
	big, err2 := d.FirstField("TotalBigPages").Uint()
	return small + big, errors.Join(err1, err2)
}

func (r *vmReader) commit() {
	r.charge("Processor Commit", vmSource{state: "Vs.ProcessCommit", global: "MmProcessCommit"})
	if session, ok, err := r.sessionCommit(); ok {
		r.add("Session Commit", session, err)
		r.sum += session
	}
	r.charge("Shared Commit", vmSource{partition: "Vp.SharedCommit", state: "Vs.SharedCommit", global: "MmSharedCommit"})
	r.sum += r.orZero("Special Pool", vmSource{state: "Vs.SpecialPagesInUse", global: "MmSpecialPagesInUse"})
	r.kernelStacks()
	r.charge("Pages For MDLs", vmSource{partition: "Vp.MdlPagesAllocated", state: "Vs.MdlPagesAllocated", global: "MmMdlPagesAllocated"})
	r.charge("ContigMem Pages", vmSource{partition: "Vp.ContiguousPagesAllocated", state: "Vs.ContiguousPagesAllocated"})
	r.charge("Pages For AWE", vmSource{partition: "Vp.VadPhysicalPages", global: "MmVadPhysicalPages"})
	r.charge("NonPagedPool Commit", vmSource{state: "Vs.NonPagedPoolCommit"})
	r.charge("PagedPool Commit", pagedPool)
	r.charge("Driver Commit", vmSource{state: "Vs.DriverCommit", global: "MmDriverCommit", globalLen: 4})
	r.charge("Boot Commit", vmSource{state: "Vs.BootCommit", global: "MmBootCommit"})
	r.charge("PFN Array Commit", vmSource{state: "Vs.PfnDatabaseCommit"})
	r.optional("SmallNonPagedPtesCommit", vmSource{state: "Vs.SmallNonPagedPtesCommit"})
	r.optional("SlabAllocatorPages", vmSource{partition: "Vp.SlabAllocatorPages"})
	r.optional("SkPagesInUnchargedSlabs", vmSource{state: "Vs.SkPagesInUnchargedSlabs", partition: "Vp.SkPagesInUnchargedSlabs"})
	r.charge("System PageTables", vmSource{state: "Vs.SystemPageTableCommit", global: "MmSystemPageTableCommit"})
	r.charge("ProcessLockedFilePages", vmSource{partition: "Vp.ProcessLockedFilePages"})
	r.charge("Pagefile Hash Pages", vmSource{state: "Vs.PagefileHashPages"})
	r.add(counterSum, r.sum, nil)
	r.add(counterTotalPrivate, r.private, nil)
	committed, ok, err := r.read(vmSource{partition: "Vp.TotalCommittedPages", global: "MmTotalCommittedPages"})
	if ok {
		misc := uint64(0)
		if parts := r.sum + r.private; committed > parts {
			misc = committed - parts
		}
		r.add(counterMisc, misc, err)
		r.add(counterCommitted, committed, err)
	}
	r.counter("Commit limit", vmSource{partition: "Vp.TotalCommitLimit", global: "MmTotalCommitLimit"})
}

// optional is charge for counters that only newer debuggers show: they are left
// out where nothing was counted.
func (r *vmReader) optional(name string, src vmSource) {
	v, ok, err := r.read(src)
	if !ok || v == 0 && err == nil {
		return
	}
	r.add(name, v, err)
	if err == nil {
		r.sum += v
	}
}

// kernelStacks adds the pages of kernel stacks: what of the regions of stacks
// is in use.
func (r *vmReader) kernelStacks() {
	regions := r.stackRegions()
	if len(regions) == 0 {
		r.charge("Kernel Stacks", vmSource{global: "MmKernelStackPages"})
		return
	}
	used := uint64(0)
	var errs error
	for _, info := range regions {
		total, err1 := info.Field("TotalSystemPtes").Uint()
		free, err2 := info.Field("TotalFreeSystemPtes").Uint()
		used += total - min(total, free)
		errs = errors.Join(errs, err1, err2)
	}
	r.add("Kernel Stacks", used, errs)
	if errs == nil {
		r.sum += used
	}
}

// stackRegions are the regions that kernel stacks are taken from: one until
// Windows 11 23H2, an array of them since 24H2, none before Windows 10 1809.
func (r *vmReader) stackRegions() (regions []types.Object) {
	info := r.state.Field("SystemPtes.KernelStackPteInfo")
	if info.Err() != nil {
		return nil
	}
	if t := info.Type(); t.Kind != types.Array {
		return []types.Object{info}
	}
	for i := range min(info.Type().Count, maxStackRegions) {
		regions = append(regions, info.Index(int(i)))
	}
	return regions
}

const maxStackRegions = 16

// maxSessions bounds the walk over the sessions.
const maxSessions = 1 << 16

// sessionCommit sums what the sessions are charged for; false where the kernel
// has no list of them any more, as since Windows 11 24H2.
func (r *vmReader) sessionCommit() (uint64, bool, error) {
	t, err := r.sys.Type("_MM_SESSION_SPACE")
	if err != nil {
		return 0, false, err
	}
	head := r.state.Field("Vs.SessionWsList")
	if head.Err() != nil {
		head = r.sys.Global("MiSessionWsList", "_LIST_ENTRY")
	}
	var sum uint64
	n := 0
	for o, err := range types.ListEntries(head, t, "WsListEntry") {
		if err == nil {
			err = r.ctx.Err()
		}
		var pages uint64
		if err == nil {
			pages, err = o.Field("CommittedPages").Uint()
		}
		if n++; err != nil || n > maxSessions {
			r.vm.Errs = append(r.vm.Errs, fmt.Errorf("sessions: %w", cmp.Or(err, errTooMany)))
			break
		}
		sum += pages
		r.vm.Sessions = append(r.vm.Sessions, newSessionCommit(o, pages))
	}
	return sum, true, nil
}

func newSessionCommit(o types.Object, pages uint64) SessionCommit {
	c := SessionCommit{Addr: o.Addr(), Commit: pages}
	c.ID, _ = o.Field("SessionId").Uint()
	if paged := o.FirstField("PagedPoolInfo.AllocatedPagedPool", "PagedPoolPages"); paged.Err() == nil {
		n, err := paged.Uint()
		c.Paged, c.HasPaged = n, err == nil
	}
	return c
}

var errTooMany = errors.New("too many entries")

func (r *vmReader) failures() {
	for _, info := range r.stackRegions() {
		n, _ := info.Field("PteFailures").Uint()
		r.vm.StackPteFailures += n
	}
	r.vm.StackGrowthFailures, _, _ = r.read(vmSource{state: "SystemPtes.StackGrowthFailures"})
}

// maxPagingFiles bounds the table of paging files, which has 16 places.
const maxPagingFiles = 64

func (r *vmReader) pagingFiles() {
	table := r.partition.FirstField("Vp.PagingFile", "PagingFile")
	n, _, err := r.read(vmSource{partition: "Vp.NumberOfPagingFiles", global: "MmNumberOfPagingFiles", globalLen: 4})
	if err == nil {
		err = r.tableError(table, &n)
	}
	at := table.Addr()
	if err != nil && table.Err() != nil {
		at, err = r.sys.Symbol("MmPagingFile")
	}
	if err != nil {
		r.vm.Errs = append(r.vm.Errs, fmt.Errorf("paging files: %w", err))
		return
	}
	for i := range min(n, maxPagingFiles) {
		addr, err := memory.ReadUint(r.sys.kernel, at+8*i, 8)
		if err != nil {
			r.vm.Errs = append(r.vm.Errs, fmt.Errorf("paging file %d: %w", i, err))
			return
		}
		if addr != 0 {
			r.vm.PagingFiles = append(r.vm.PagingFiles, r.sys.pagingFile(addr))
		}
	}
}

// tableError bounds the number of paging files by their table.
func (r *vmReader) tableError(table types.Object, n *uint64) error {
	if table.Err() != nil {
		return table.Err()
	}
	if t := table.Type(); t.Kind == types.Array && *n > t.Count {
		return fmt.Errorf("%d are claimed, the table has %d places", *n, t.Count)
	}
	return nil
}

func (s *System) pagingFile(addr uint64) PagingFile {
	o := s.Struct("_MMPAGING_FILE", addr)
	f := PagingFile{Addr: addr}
	for _, m := range []struct {
		name string
		to   *uint64
	}{{"Size", &f.Size}, {"FreeSpace", &f.Free}, {"MinimumSize", &f.Minimum}, {"MaximumSize", &f.Maximum}} {
		v, err := o.Field(m.name).Uint()
		f.Err = errors.Join(f.Err, err)
		*m.to = min(v, math.MaxUint64/memory.PageSize)
	}
	if o.Has("PageFileName") {
		name, err := o.Field("PageFileName").UnicodeString()
		f.Name, f.Err = name, errors.Join(f.Err, err)
	}
	return f
}

// processes reads what the processes of the kernel's list are charged for.
func (r *vmReader) processes() {
	for p, err := range r.sys.ActiveProcesses(r.ctx) {
		if err != nil {
			r.vm.Errs = append(r.vm.Errs, err)
			break
		}
		c := ProcessCommit{Process: p}
		c.PID, _ = p.PID()
		c.Name, _ = p.ImageName()
		c.Commit, err = p.CommitPages()
		if err != nil {
			r.vm.Errs = append(r.vm.Errs, err)
		}
		// Builds without these charge no process for them.
		c.Shared, _ = p.obj.Field("SharedCommitCharge").Uint()
		c.Debt, _ = p.obj.FirstField("Vm.Shared.ReleasedCommitDebt", "Vm.ReleasedCommitDebt", "CommitDebt").Uint()
		r.private += c.Commit
		r.vm.Processes = append(r.vm.Processes, c)
	}
	slices.SortStableFunc(r.vm.Processes, func(a, b ProcessCommit) int { return cmp.Compare(b.Commit, a.Commit) })
}
