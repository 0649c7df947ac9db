package analyze

import "fmt"

// bucket names the kind of crash: crashes with one name have one cause.
func (r *Report) bucket() string {
	if r.Plain() == 0xe2 || r.Plain() == manualAgain {
		return r.Name
	}
	prefix := fmt.Sprintf("0x%X", r.Plain())
	if f := r.family(); f.bucket != nil {
		prefix = f.bucket(r)
	}
	if r.StackOverflow {
		prefix += "_STACK_USAGE"
	}
	if r.hardware {
		return prefix
	}
	if r.Critical != "" {
		prefix += "_" + r.Critical
		if r.ExitStatus != 0 {
			prefix += fmt.Sprintf("_TERMINATED_%x", r.ExitStatus)
		}
	}
	f, ok := r.Culprit()
	switch {
	case !ok && len(r.Frames) > 0:
		return prefix + "_ANALYSIS_INCONCLUSIVE"
	case !ok:
		return prefix
	case f.Function != "":
		return prefix + "_" + f.Module + "!" + f.Function
	}
	return prefix + "_" + f.Module
}

func exceptionBucket(r *Report) string {
	if uint32(r.param(1)) == accessViolation {
		return "AV"
	}
	return fmt.Sprintf("0x%X", r.Plain())
}

func faultBucket(*Report) string { return "AV" }

func pageBucket(r *Report) string {
	switch accessOf(r.Plain(), r.param(2)) {
	case "WRITE":
		return "AV_W_INVALID"
	case "EXECUTE":
		return "AV_X_INVALID"
	}
	return "AV_R_INVALID"
}

// kindBucket is for the bug checks whose first parameter is a kind.
func kindBucket(r *Report) string { return fmt.Sprintf("0x%X_%x", r.Plain(), r.param(1)) }

// typeBucket: the fourth parameter is the kind.
func typeBucket(r *Report) string { return fmt.Sprintf("0x%X_%x", r.Plain(), r.param(4)) }

func fastFailBucket(r *Report) string {
	text := kindBucket(r)
	if name := fastFail[r.param(1)]; name != "" {
		text += "_" + name
	}
	return text
}

func watchdogBucket(r *Report) string {
	if r.param(1) == 0 {
		return "0x133_DPC"
	}
	return "0x133_ISR"
}

func clockBucket(r *Report) string {
	return fmt.Sprintf("%s_%x_PROC", r.Name, r.Processor)
}
