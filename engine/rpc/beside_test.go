package rpc

import (
	"fmt"
	"sync"
	"testing"
)

// TestBesideReload: one client's console loads all symbols anew, again and
// again, while another one looks at stacks and values; that one sees what it
// saw alone.
func TestBesideReload(t *testing.T) {
	e := NewEngine("test")
	one, other := openMade(t, e), openMade(t, e)
	console := must[Context](t)(one.NewSession(t.Context(), NewSessionParams{}))
	look := func() string {
		var all []any
		for _, g := range must[GroupsResult](t)(other.Groups(t.Context())).Groups {
			for _, th := range g.Threads {
				st, err := other.Stack(t.Context(), StackParams{Thread: th.Thread})
				if err != nil {
					t.Error(err)
					continue
				}
				all = append(all, st)
				sc, err := other.Scopes(t.Context(), ScopesParams{FrameParams: FrameParams{Thread: th.Thread, Frame: max(0, st.Total-1)}})
				if err != nil {
					t.Error(err)
					continue
				}
				for _, s := range sc.Scopes {
					values, err := other.Children(t.Context(), ChildrenParams{Ref: s.Ref})
					if err != nil {
						t.Error(err)
					}
					all = append(all, values)
				}
			}
		}
		return fmt.Sprint(all...)
	}
	alone := look()
	stop := make(chan struct{})
	var reloading sync.WaitGroup
	reloading.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := one.Execute(t.Context(), ExecuteParams{Session: console.Session, Line: ".reload /f; .reload /f /user"}, func(string, bool) {}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	if beside := look(); beside != alone {
		t.Error("beside a console that loads symbols anew another client sees other values")
	}
	close(stop)
	reloading.Wait()
}
