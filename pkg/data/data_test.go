package data_test

import (
	"encoding/json"
	"testing"

	"github.com/brine-deploy/brine/pkg/data"
)

func TestJSONKeepsOrderAndKindsOfNumbers(t *testing.T) {
	const text = `{"zed":1,"amy":[1.5,12345678901234567890,{"b":null,"a":true}]}`
	value, err := data.FromJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(value)
	if err != nil || string(out) != text {
		t.Errorf("got %s, %v; want %s", out, err, text)
	}
	if one, _ := value.(*data.Map).Get("zed"); one != int64(1) {
		t.Errorf("got %T", one)
	}
}

func TestASecondDocumentIsRefused(t *testing.T) {
	if _, err := data.FromJSON([]byte(`{} {}`)); err == nil {
		t.Error("no error")
	}
}

func TestEqualDoesNotCareForOrder(t *testing.T) {
	a := data.NewMap("x", int64(1), "y", []any{"a"})
	b := data.From(map[string]any{"y": []string{"a"}, "x": 1.0})
	if !data.Equal(a, b) {
		t.Error("not equal")
	}
	a.Set("x", "1")
	if data.Equal(a, b) {
		t.Error("equal")
	}
}
