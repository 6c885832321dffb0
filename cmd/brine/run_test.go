package main

import (
	"encoding/json"
	"testing"
)

func TestArgumentsAreSortedAsSaltDoes(t *testing.T) {
	for _, c := range []struct {
		function string
		args     []string
		want     string
	}{
		{"test.ping", nil, `{}`},
		{"cmd.run", []string{"ls /", "cwd=/tmp"}, `{"args":["ls /"],"kwargs":{"cwd":"/tmp"}}`},
		{"cmd.run", []string{"true"}, `{"args":["true"]}`},
		{"cmd.run", []string{"echo a=b"}, `{"args":["echo a=b"]}`},
		{"cmd.run", []string{"cmd=A=1 env", "timeout=5", "empty="}, `{"kwargs":{"cmd":"A=1 env","empty":"","timeout":5}}`},
		{"cmd.run", []string{"line one\nx=1"}, `{"args":["line one\nx=1"]}`},
		{"test.arg", []string{"5", "true", "null", "[1, 2]", `{"a": 1}`, `"quoted"`, "1.10.2", "a==b"}, `{"args":[5,true,null,[1,2],{"a":1},"\"quoted\"","1.10.2","a==b"]}`},
		{"state.apply", []string{"web,db", "test=True", "pillar={a: [1, x]}", "saltenv=dev"}, `{"args":["web,db"],"kwargs":{"pillar":{"a":[1,"x"]},"saltenv":"dev","test":true}}`},
		{"test.arg", []string{"12345678901234567890"}, `{"args":[12345678901234567890]}`},
	} {
		got, err := json.Marshal(callOf(c.function, c.args))
		if err != nil || string(got) != c.want {
			t.Errorf("callOf(%s, %q) = %s, %v; want %s", c.function, c.args, got, err, c.want)
		}
	}
}

func TestBatchesAreNumbersOrShares(t *testing.T) {
	for batch, want := range map[string]int{"1": 1, "25": 25, "25%": 2, "1%": 1, "100%": 10, "0": 0, "101%": 0, "x": 0, "": 0} {
		if got, err := batchSize(batch, 10); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q of 10: %d, %v; want %d", batch, got, err, want)
		}
	}
}
