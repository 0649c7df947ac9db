package dump

import "context"

func unpack(ctx context.Context, path string, src *source, opt Options) (string, error) {
	return "", &OpenError{Path: path, Reason: Archive, Msg: "packed"}
}
