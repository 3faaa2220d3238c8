// Package entry is one message of a server, and what a format may say of it: told with its evidence, noted, or refused for a reason. Beside it stand the words
// that formats share: addresses and numbers read strictly, what the text of an error means, facts as canonical JSON, and a memory that is bounded.
//
// It knows no server, with one exception: PAM, which writes into the logs of several. It is pure.
package entry
