// Package account keeps who may see the page: people with a password, programs with a token, and the sessions of browsers.
//
// It promises: the file holds hashes only, has mode 0600, and is the old one or the new one after a crash; secrets are compared in constant
// time; an unknown name costs as much time as a wrong password; nobody may try without end. It leaves to package web how a request carries its
// secret, and what a role may do there.
package account
