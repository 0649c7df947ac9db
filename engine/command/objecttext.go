package command

import (
	"fmt"
	"strconv"
)

func decimal(v int64) string { return strconv.FormatInt(v, 10) }

func twoDigits(v int) string { return fmt.Sprintf("%02d", v) }
