// Package truth compares the witness "wire" with captures of known answer.
package truth
