// Checkconfigs reads files as the programs do that they are for, and says what is wrong with one:
//
//	checkconfigs parca FILE          Parca's own reader
//	checkconfigs prometheus FILE     Prometheus' own reader
//	checkconfigs rules FILE          names of fields, and Prometheus' own parser of expressions
//	checkconfigs kubernetes FILE     Kubernetes' own types, strictly
//	checkconfigs metrics FILE        a page of metrics: Prometheus' own reader and linter
//
// It prints what a test asks about: the metrics in the expressions of rules, the paths that Parca scrapes, the objects of a
// manifest as JSON, the type of every metric. It is built in Parca's module, which depends on all of these (scripts/lib/fleet-tools.mjs).
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"sort"
	"strings"

	gokit "github.com/go-kit/log"
	parca "github.com/parca-dev/parca/pkg/config"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/promql/parser"
	"gopkg.in/yaml.v3"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	strict "sigs.k8s.io/yaml"
)

func main() {
	log.SetFlags(0)
	check, known := map[string]func(string) error{
		"parca":      checkParca,
		"prometheus": checkPrometheus,
		"rules":      checkRules,
		"kubernetes": checkKubernetes,
		"metrics":    checkMetrics,
	}[os.Args[1]]
	if !known {
		log.Fatalf("what is %q?", os.Args[1])
	}
	if err := check(os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func checkParca(file string) error {
	loaded, err := parca.LoadFile(file)
	if err != nil {
		return err
	}
	if err := loaded.Validate(); err != nil {
		return err
	}
	for _, job := range loaded.ScrapeConfigs {
		for name, profile := range job.ProfilingConfig.PprofConfig {
			if *profile.Enabled {
				fmt.Printf("%s %s %s\n", job.JobName, name, profile.Path)
			}
		}
	}
	return nil
}

func checkPrometheus(file string) error {
	_, err := config.LoadFile(file, false, false, gokit.NewNopLogger())
	return err
}

// The fields of a file of rules, as Prometheus documents them.
type ruleFile struct {
	Groups []struct {
		Name     string
		Interval model.Duration
		Rules    []struct {
			Alert       string
			Expr        string
			For         model.Duration
			Labels      map[string]string
			Annotations map[string]string
		}
	}
}

func checkRules(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var file ruleFile
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil {
		return err
	}
	metrics := map[string]bool{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			expression, err := parser.ParseExpr(rule.Expr)
			if err != nil {
				return fmt.Errorf("%s: %w", rule.Alert, err)
			}
			parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
				if selector, is := node.(*parser.VectorSelector); is {
					metrics[selector.Name] = true
				}
				return nil
			})
		}
	}
	return printSorted(metrics)
}

func printSorted(set map[string]bool) error {
	names := []string{}
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
	}
	return nil
}

func checkKubernetes(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	for _, document := range bytes.Split(text, []byte("\n---\n")) {
		var kind struct{ APIVersion, Kind string }
		if err := strict.Unmarshal(document, &kind); err != nil {
			return err
		}
		object, known := map[string]any{
			"apps/v1 Deployment": &apps.Deployment{},
			"v1 Service":         &core.Service{},
		}[kind.APIVersion+" "+kind.Kind]
		if !known {
			return fmt.Errorf("what is %s %s?", kind.APIVersion, kind.Kind)
		}
		if err := strict.UnmarshalStrict(document, object); err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(object); err != nil {
			return err
		}
	}
	return nil
}

func checkMetrics(name string) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	families, err := new(expfmt.TextParser).TextToMetricFamilies(bytes.NewReader(text))
	if err != nil {
		return err
	}
	problems, err := promlint.New(bytes.NewReader(text)).Lint()
	if err != nil {
		return err
	}
	if len(problems) > 0 {
		return fmt.Errorf("%v", problems)
	}
	types := map[string]bool{}
	for name, family := range families {
		types[name+" "+strings.ToLower(family.GetType().String())] = true
	}
	return printSorted(types)
}
