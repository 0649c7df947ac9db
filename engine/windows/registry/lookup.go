package registry

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

const rootPath = `\REGISTRY`

// maxLinks bounds how many symbolic links one look-up follows.
const maxLinks = 64

// linkValue is the value of a symbolic link that holds its target.
const linkValue = "SymbolicLinkValue"

// ErrNoKey says that there is no such key.
var ErrNoKey = errors.New("no such key")

// shorthands are the spellings of programs for parts of the registry.
var shorthands = map[string]string{
	"hklm": `\REGISTRY\MACHINE`, "hkey_local_machine": `\REGISTRY\MACHINE`,
	"hku": `\REGISTRY\USER`, "hkey_users": `\REGISTRY\USER`,
	"machine": `\REGISTRY\MACHINE`, "user": `\REGISTRY\USER`,
	"registry": rootPath,
}

// CleanPath returns the full path that a user's spelling means: \REGISTRY\…,
// HKLM\…, MACHINE\….
func CleanPath(path string) string {
	path = strings.Trim(strings.TrimSpace(path), `\`)
	first, rest, more := strings.Cut(path, `\`)
	long, ok := shorthands[strings.ToLower(first)]
	if !ok {
		return `\` + path
	}
	if strings.EqualFold(first, "registry") {
		long = `\` + first
	}
	if !more {
		return long
	}
	return long + `\` + rest
}

// Lookup finds a key by its path, without regard to letter case. Links on the
// way are followed, the last one is not: it is a key of its own. Hives that the
// path leads into are entered.
func (r *Registry) Lookup(ctx context.Context, path string) (*Key, error) {
	path = CleanPath(path)
	for links := 0; ; links++ {
		k, next, err := r.walk(ctx, path)
		if err != nil || next == "" {
			return k, err
		}
		if links == maxLinks {
			return nil, fmt.Errorf("%s: more than %d links", path, maxLinks)
		}
		path = next
	}
}

// walk follows a path; next is where a link on the way leads.
func (r *Registry) walk(ctx context.Context, path string) (k *Key, next string, err error) {
	below, ok := cutPath(path, rootPath)
	if !ok {
		return nil, "", fmt.Errorf("%s: %w", path, ErrNoKey)
	}
	var first error
	if master, err := r.Master(); err != nil {
		first = err
	} else if root, err := master.Root(); err != nil {
		first = err
	} else if k, next, err = r.descend(ctx, root, below); err == nil {
		return k, next, nil
	} else {
		first = err
	}
	// The way through the master hive may be damaged: hives say where they are.
	h, below := r.hiveOf(path)
	if h == nil || errors.Is(first, context.Canceled) {
		return nil, "", first
	}
	root, err := h.Root()
	if err != nil {
		return nil, "", first
	}
	if k, next, err = r.descend(ctx, root, below); err != nil {
		return nil, "", first
	}
	return k, next, nil
}

// Mount returns the hive that is mounted nearest above a full path, and the
// path's part below it; nil when no hive is.
func (r *Registry) Mount(path string) (*Hive, string) { return r.hiveOf(path) }

// hiveOf returns the hive that is mounted nearest above the path, and the rest.
func (r *Registry) hiveOf(path string) (*Hive, string) {
	var found *Hive
	var below string
	for h, err := range r.Hives() {
		if err != nil {
			break
		}
		mount := h.Path()
		if mount == "" || found != nil && len(mount) < len(found.Path()) {
			continue
		}
		if rest, ok := cutPath(path, mount); ok {
			found, below = h, rest
		}
	}
	return found, below
}

// cutPath removes a path above from a path.
func cutPath(path, above string) (rest string, ok bool) {
	n := len(above)
	if len(path) < n || !strings.EqualFold(path[:n], above) || len(path) > n && path[n] != '\\' {
		return "", false
	}
	return strings.Trim(path[n:], `\`), true
}

// descend follows a path below a key.
func (r *Registry) descend(ctx context.Context, k *Key, below string) (*Key, string, error) {
	depth := 0
	for below != "" {
		name, rest, _ := strings.Cut(below, `\`)
		sub, err := k.SubKey(ctx, name)
		if err != nil {
			return nil, "", err
		}
		if depth++; depth > maxDepth {
			return nil, "", k.damage("path", fmt.Errorf("more than %d levels", maxDepth))
		}
		if sub.Flags&KeySymLink != 0 && rest != "" {
			target, err := sub.LinkTarget(ctx)
			if err != nil {
				return nil, "", err
			}
			return nil, CleanPath(target) + `\` + rest, nil
		}
		k, below = sub, rest
		if k.Flags&KeyHiveExit != 0 {
			if k, err = k.Exit(); err != nil {
				return nil, "", err
			}
		}
	}
	return k, "", nil
}

// SubKey returns the sub key of this name, without regard to letter case. When
// sub keys cannot be read the error tells of them too: it may be one of those.
func (k *Key) SubKey(ctx context.Context, name string) (*Key, error) {
	var first error
	gaps := 0
	for sub, err := range k.SubKeys(ctx) {
		if err != nil {
			if first == nil {
				first = err
			}
			gaps++
			continue
		}
		if strings.EqualFold(sub.Name, name) {
			return sub, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if first != nil {
		return nil, fmt.Errorf("%q: %w; %d sub keys of %q could not be read: %w", name, ErrNoKey, gaps, k.Name, first)
	}
	return nil, fmt.Errorf("%q: %w below %q", name, ErrNoKey, k.Name)
}

// LinkTarget returns where a symbolic link leads.
func (k *Key) LinkTarget(ctx context.Context) (string, error) {
	v, err := k.Value(ctx, linkValue)
	if v == nil {
		return "", k.damage("symbolic link", errors.Join(err, errors.New("it has no value "+linkValue)))
	}
	b, err := v.Data()
	if err != nil {
		return "", err
	}
	return Text(b), nil
}
