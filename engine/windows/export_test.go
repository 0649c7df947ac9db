package windows

import (
	"context"

	"kdap/engine/pe"
)

// Elsewhere returns what the other views of the module's image tell, how many
// were looked at, and how many share its section.
func (m *Module) Elsewhere(ctx context.Context) (cv pe.CodeView, owner Process, same int, err error) {
	if v, ok, err := m.owner.VADAt(m.Base); err == nil && ok && m.sys.views.load(ctx, m.sys) {
		if area, err := v.ControlArea(); err == nil {
			same = len(m.sys.views.byArea[area.Addr()]) - 1
		}
	}
	id := m.elsewhere(ctx)
	return id.cv, id.owner, same, id.cvErr
}
