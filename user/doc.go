// Package user keeps the accounts that may transfer files: who they are, where their root lies, what they may do there.
//
//	users.yaml --Open--> Book --Password, Key, Certificate--> Login: Account, its limits --Close-->
//	      ^                |
//	   Add, SetPassword,   └─ read again when the file has changed; what is wrong in it leaves the old accounts in force
//	   Remove (by hand, too)
//
// It promises: the file is read strictly, with line and remedy for all that is wrong in it; it holds hashes and public keys, no secret; a change is
// in force within a second, without a restart; right, wrong and unknown names cost the same time; who fails waits longer each time and is
// banned in the end, whichever server was asked; a password that was right is remembered only as an HMAC under a key that this process alone has.
//
// It leaves to others: what a permission means in a protocol, the words on the wire, the evidence of a login (the servers tell that).
package user
