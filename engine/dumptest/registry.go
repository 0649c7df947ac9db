package dumptest

// finishRegistry writes the configuration manager's variables.
func (m *Machine) finishRegistry() {
	k := m.Kernel
	for _, name := range []string{
		"CmpMasterHive", "CmpRegistryProcess", "CmpCacheTable", "PoolBigPageTable", "PoolBigPageTableSize", "WmipSMBiosTablePhysicalAddress",
	} {
		k.U64(m.sym(name), 0)
	}
	for _, name := range []string{"CmpHashTableSize", "WmipSMBiosTableLength", "WmipSMBiosVersionInfo"} {
		k.U32(m.sym(name), 0)
	}
	k.link(m.sym("CmpRmListHead"))
	k.link(m.sym("CmpHiveListHead"))
	k.U64(m.sym("CmKeyObjectType"), m.types["Key"])
}
