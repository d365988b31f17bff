package report

import (
	"encoding/json"
	"errors"
	"io"
	"os"
)

// WriteJSON writes the counts and all cases as one object.
func (r Report) WriteJSON(output io.Writer) error {
	cases := make([]Case, 0, len(r.Cases))
	for _, one := range r.Cases {
		one.Output = joined(one.Output, one.log)
		cases = append(cases, one)
	}
	object := struct {
		Runtime Runtime `json:"runtime"`
		Count
		Cases   []Case `json:"cases"`
		Problem string `json:"problem,omitempty"`
	}{Runtime: r.Runtime, Count: r.Count(), Cases: cases}
	if len(cases) == 0 {
		object.Problem = said(r.Package)
	}
	encoder := json.NewEncoder(output)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(object)
}

// WriteFile makes the file and lets write fill it. An empty name stands for no file.
func WriteFile(file string, write func(io.Writer) error) error {
	if file == "" {
		return nil
	}
	output, err := os.Create(file)
	if err != nil {
		return err
	}
	return errors.Join(write(output), output.Close())
}
