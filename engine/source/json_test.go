package source_test

import "encoding/json"

func jsonOf(rule, url string) ([]byte, error) {
	return json.Marshal(map[string]any{"documents": map[string]string{rule: url}})
}
