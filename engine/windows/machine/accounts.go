package machine

import (
	"context"
	"strings"

	"kdap/engine/windows"
	"kdap/engine/windows/registry"
)

// Keys that know accounts of the machine.
const (
	samDomains  = `\REGISTRY\MACHINE\SAM\SAM\Domains\Account`
	profileList = `\REGISTRY\MACHINE\SOFTWARE\Microsoft\Windows NT\CurrentVersion\ProfileList`
)

// Accounts are the names that a dump has for security identifiers. Windows
// keeps none beside a SID; they stand in the logon session that a token belongs
// to, in the accounts database, in the list of profiles, whose folders bear
// users' names, and in the environments of users' processes.
type Accounts struct {
	sys   *windows.System
	names map[windows.SID]string

	environments bool // were read: only when nothing else knows a SID
}

// NewAccounts reads what the registry knows. A registry that is not there
// leaves the other sources.
func NewAccounts(ctx context.Context, sys *windows.System) *Accounts {
	a := &Accounts{sys: sys, names: map[windows.SID]string{}}
	r, err := registry.Open(ctx, sys)
	if err != nil {
		return a
	}
	computer, _ := Name(ctx, sys)
	local := a.readSAM(ctx, r, computer)
	a.readProfiles(ctx, r, computer, local)
	return a
}

// Of returns the name of the account that a token is of, "" for an unknown
// one: its logon session's names, which tell the machine's own account apart
// from the SYSTEM it acts as, else the name of its user.
func (a *Accounts) Of(ctx context.Context, t windows.Token) string {
	if domain, user, err := t.LogonNames(); err == nil && user != "" {
		return qualified(domain, user)
	}
	for g, err := range t.Groups() {
		if err != nil {
			break
		}
		return a.Name(ctx, g.SID)
	}
	return ""
}

// Text returns the name of the account that a token is of, its SID where the
// dump has no name for it.
func (a *Accounts) Text(ctx context.Context, t windows.Token) (string, error) {
	if name := a.Of(ctx, t); name != "" {
		return name, nil
	}
	for g, err := range t.Groups() {
		return string(g.SID), err
	}
	return "", nil
}

// Name returns the name of an account, DOMAIN\User where the domain is known;
// "" for an unknown one.
func (a *Accounts) Name(ctx context.Context, sid windows.SID) string {
	if _, name, ok := sid.Account(); ok {
		return name
	}
	if name, ok := a.names[sid]; ok {
		return name
	}
	if isUser(sid) {
		a.readEnvironments(ctx)
	}
	return a.names[sid]
}

// readSAM reads the machine's own accounts: a key of a name each, whose
// nameless value has the account's number as its type. It returns the SID that
// the machine's accounts begin with.
func (a *Accounts) readSAM(ctx context.Context, r *registry.Registry, computer string) (local string) {
	v, err := value(ctx, r, samDomains, "V")
	if err != nil {
		return ""
	}
	// The SID of the domain ends the value.
	sid, ok := windows.TrailingSID(v.Data)
	if !ok {
		return ""
	}
	for _, kind := range []string{`\Users\Names`, `\Groups\Names`} {
		names, err := r.Lookup(ctx, samDomains+kind)
		if err != nil {
			continue
		}
		for k, err := range names.SubKeys(ctx) {
			if err != nil {
				continue
			}
			if v, err := k.Value(ctx, ""); err == nil && v != nil {
				a.keep(sid.Relative(uint32(v.Type)), qualified(computer, k.Name))
			}
		}
	}
	return string(sid)
}

// readProfiles reads the list of profiles: a key a SID.
func (a *Accounts) readProfiles(ctx context.Context, r *registry.Registry, computer, local string) {
	list, err := r.Lookup(ctx, profileList)
	if err != nil {
		return
	}
	for k, err := range list.SubKeys(ctx) {
		if err != nil {
			continue
		}
		v, err := value(ctx, r, profileList+`\`+k.Name, "ProfileImagePath")
		if err != nil {
			continue
		}
		folder := strings.TrimRight(v.Text(), `\`)
		user := folder[strings.LastIndexByte(folder, '\\')+1:]
		domain := ""
		if local != "" && strings.HasPrefix(k.Name, local+"-") {
			domain = computer
		}
		if domain == "" {
			// Whose domain is unknown, an environment may tell better.
			if a.readEnvironments(ctx); a.names[windows.SID(k.Name)] != "" {
				continue
			}
		}
		a.keep(windows.SID(k.Name), qualified(domain, user))
	}
}

// isUser reports whether a SID is one of a machine, a domain or a cloud.
func isUser(sid windows.SID) bool {
	return strings.HasPrefix(string(sid), "S-1-5-21-") || strings.HasPrefix(string(sid), "S-1-12-1-")
}

// readEnvironments reads, once, who the processes of users say that they are of.
func (a *Accounts) readEnvironments(ctx context.Context) {
	if a.environments || ctx.Err() != nil {
		return
	}
	a.environments = true
	for p, err := range a.sys.ActiveProcesses(ctx) {
		if err != nil {
			return
		}
		sid := userOf(p)
		if _, known := a.names[sid]; known || !isUser(sid) {
			continue
		}
		if domain, user := environmentUser(p); user != "" {
			a.keep(sid, qualified(domain, user))
		}
	}
}

func userOf(p windows.Process) windows.SID {
	t, err := p.Token()
	if err != nil {
		return ""
	}
	for g, err := range t.Groups() {
		if err != nil {
			return ""
		}
		return g.SID
	}
	return ""
}

func environmentUser(p windows.Process) (domain, user string) {
	block, err := p.Environment()
	if err != nil {
		return "", ""
	}
	for v, err := range block.Variables() {
		switch {
		case err != nil:
			return domain, user
		case strings.EqualFold(v.Name, "USERDOMAIN"):
			domain = v.Value
		case strings.EqualFold(v.Name, "USERNAME"):
			user = v.Value
		}
	}
	return domain, user
}

// keep takes the first name that is found for a SID.
func (a *Accounts) keep(sid windows.SID, name string) {
	if _, known := a.names[sid]; !known && name != "" && len(a.names) < maxAccounts {
		a.names[sid] = name
	}
}

// maxAccounts bounds how many names are kept.
const maxAccounts = 1 << 16

func qualified(domain, user string) string {
	if domain == "" || user == "" {
		return user
	}
	return domain + `\` + user
}
