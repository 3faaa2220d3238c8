// Package web brings the record to people: a JSON API under /api/v1, a live stream of server-sent events, metrics, and one embedded page.
//
//	pipe -----> live.Feed <---- GET stream -----------------------+
//	Ledger <------------------- GET transfers, events, stats ... --+--> page, command line, programs
//	Orders <------------------- POST stop, reload -----------------+
//
// The same routes are served through two doors: a TCP address with login, Host check and protection against requests forged by other
// sites, and a unix socket in the state folder, whose file mode is its lock.
//
// It promises: nothing that a viewer does slows a transfer; a name from the network leaves as JSON or CSV text, and as HTML only through the templates of
// plain, which escape it; each error says what was wrong, where, and what to do. The page and the command line use these routes and nothing else.
//
// It leaves to its own rooms: what a question means (ask), who somebody is (account), the live stream (live), the page for readers without
// JavaScript (plain), the certificate and the socket. It leaves to others: what the records say (root, join), how a query is parsed and
// matched (query, handed in), what the parts of the program are doing (System, handed in), and stopping or reloading (Orders, handed in).
package web
