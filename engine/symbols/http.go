package symbols

// servers is the state of the symbol servers of a Finder.
type servers struct{}

// download asks a server. It is not built yet, and says so in the report.
func (s *search) download(server string, _ []string) (Found, bool) {
	s.r.add(server, Refused, "servers are not asked")
	return Found{}, false
}
