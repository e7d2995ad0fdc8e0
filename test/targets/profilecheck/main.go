// Profilecheck is the second, independent reader of profiles that the tests hold cgoprof's against: google/pprof's own.
//
//	profilecheck FILE...
//
// parses each file and checks it with CheckValid, merges them when there are several, and prints the profile as JSON.
// It exits with 1 and the reason on standard error when google/pprof does not accept a file.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/google/pprof/profile"
)

// Numbers beyond 2^53 do not survive JSON's readers, so values are decimal and addresses hexadecimal strings.

type profileJSON struct {
	SampleTypes       []string
	DefaultSampleType string
	PeriodType        string
	Period            string
	TimeNanos         string
	DurationNanos     string
	Comments          []string
	Mappings          []mappingJSON
	Samples           []sampleJSON
	Functions         int
	Locations         int
}

type mappingJSON struct {
	Start, Limit, Offset string
	File, BuildID        string
	HasFunctions         bool
	HasFilenames         bool
	HasLineNumbers       bool
	HasInlineFrames      bool
}

type sampleJSON struct {
	Values    []string
	Labels    map[string][]string
	NumLabels map[string][]string
	NumUnits  map[string][]string
	Stack     []locationJSON
}

type locationJSON struct {
	ID      uint64
	Address string
	Mapping string
	Lines   []lineJSON
}

type lineJSON struct {
	FunctionID       uint64
	Name, SystemName string
	File             string
	Line, StartLine  int64
}

func main() {
	p, err := readAll(os.Args[1:])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(convert(p))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profilecheck:", err)
		os.Exit(1)
	}
}

func readAll(paths []string) (*profile.Profile, error) {
	var all []*profile.Profile
	for _, path := range paths {
		p, err := read(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		all = append(all, p)
	}
	if len(all) == 1 {
		return all[0], nil
	}
	return profile.Merge(all)
}

func read(path string) (*profile.Profile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	p, err := profile.Parse(f)
	if err != nil {
		return nil, err
	}
	return p, p.CheckValid()
}

func valueType(v *profile.ValueType) string {
	return v.Type + "/" + v.Unit
}

func decimal(v int64) string {
	return strconv.FormatInt(v, 10)
}

func hex(v uint64) string {
	return "0x" + strconv.FormatUint(v, 16)
}

func decimals(vs []int64) []string {
	out := make([]string, len(vs))
	for i, v := range vs {
		out[i] = decimal(v)
	}
	return out
}

func convert(p *profile.Profile) profileJSON {
	out := profileJSON{
		DefaultSampleType: p.DefaultSampleType,
		PeriodType:        valueType(p.PeriodType),
		Period:            decimal(p.Period),
		TimeNanos:         decimal(p.TimeNanos),
		DurationNanos:     decimal(p.DurationNanos),
		Comments:          p.Comments,
		Functions:         len(p.Function),
		Locations:         len(p.Location),
	}
	for _, t := range p.SampleType {
		out.SampleTypes = append(out.SampleTypes, valueType(t))
	}
	for _, m := range p.Mapping {
		out.Mappings = append(out.Mappings, mappingJSON{
			hex(m.Start), hex(m.Limit), hex(m.Offset), m.File, m.BuildID,
			m.HasFunctions, m.HasFilenames, m.HasLineNumbers, m.HasInlineFrames,
		})
	}
	for _, s := range p.Sample {
		out.Samples = append(out.Samples, convertSample(s))
	}
	return out
}

func convertSample(s *profile.Sample) sampleJSON {
	out := sampleJSON{
		Values:    decimals(s.Value),
		Labels:    s.Label,
		NumLabels: map[string][]string{},
		NumUnits:  map[string][]string{},
	}
	for key, values := range s.NumLabel {
		out.NumLabels[key] = decimals(values)
		// Merge makes empty lists where Parse makes none.
		if units := s.NumUnit[key]; len(units) > 0 {
			out.NumUnits[key] = units
		}
	}
	for _, l := range s.Location {
		loc := locationJSON{ID: l.ID, Address: hex(l.Address)}
		if l.Mapping != nil {
			loc.Mapping = l.Mapping.File
		}
		for _, line := range l.Line {
			f := line.Function
			loc.Lines = append(loc.Lines, lineJSON{f.ID, f.Name, f.SystemName, f.Filename, line.Line, f.StartLine})
		}
		out.Stack = append(out.Stack, loc)
	}
	return out
}
