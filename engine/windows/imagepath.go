package windows

import (
	"context"
	"errors"
	"strings"
)

// ImagePath returns the path of the process's image: as it was started with
// ("C:\Windows\…"); where its parameters cannot be read, as its loader has it;
// and at last as the kernel recorded it, with the volume as a drive where
// another process tells which. "" when no source has one.
func (p Process) ImagePath(ctx context.Context) (string, error) {
	env, err := p.Environment()
	if err == nil {
		var path string
		if path, err = env.ImagePath(); err == nil && path != "" {
			return path, nil
		}
		if base, berr := env.obj.Field("ImageBaseAddress").Uint(); berr == nil {
			if m := p.UserModules(ctx).Find(base); m != nil && m.Source == "ldr" && m.Path != "" {
				return m.Path, nil
			}
		}
	}
	if errors.Is(err, ErrNoPEB) {
		err = nil
	}
	nt, nerr := p.NTPath()
	if nerr != nil || nt == "" {
		return "", errors.Join(err, nerr)
	}
	return p.sys.DOSPath(ctx, nt), nil
}

// DOSPath replaces the volume in front of an NT path ("\Device\HarddiskVolume3")
// by its drive. Which drive it is the processes tell whose image has both
// forms; a path on another volume stays as it is.
func (s *System) DOSPath(ctx context.Context, nt string) string {
	s.drivesOnce.Do(func() { s.drives = s.findDrives(ctx) })
	volume, rest := splitVolume(nt)
	if drive, ok := s.drives[strings.ToLower(volume)]; ok {
		return drive + rest
	}
	return nt
}

// splitVolume divides \Device\X\path behind X.
func splitVolume(nt string) (volume, rest string) {
	const prefix = `\Device\`
	if !strings.HasPrefix(nt, prefix) {
		return "", nt
	}
	end := strings.IndexByte(nt[len(prefix):], '\\')
	if end < 0 {
		return nt, ""
	}
	return nt[:len(prefix)+end], nt[len(prefix)+end:]
}

func (s *System) findDrives(ctx context.Context) map[string]string {
	drives := map[string]string{}
	for p, err := range s.ActiveProcesses(ctx) {
		if err != nil {
			break
		}
		nt, err := p.NTPath()
		volume, rest := splitVolume(nt)
		if err != nil || volume == "" || drives[strings.ToLower(volume)] != "" {
			continue
		}
		env, err := p.Environment()
		if err != nil {
			continue
		}
		dos, err := env.ImagePath()
		if err == nil && len(dos) > 2 && dos[1] == ':' && strings.EqualFold(dos[2:], rest) {
			drives[strings.ToLower(volume)] = strings.ToUpper(dos[:2])
		}
	}
	return drives
}
