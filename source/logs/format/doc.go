// Package format turns log lines of other people's servers into evidence. One file of the rooms tftp, ftp and ssh is one format, with one line in the table here.
//
//	entry (time, host, ident, pid, message) --Reader--> format of that ident --Take--> evidence, or a reason why not
//
// It promises:
//   - A line is told, noted or refused, with a reason that says why; a refused line is never read in part.
//   - A message is read from its start, and names from both ends: what a client puts into a name forges neither address nor result. Where
//     two readings remain, the evidence says so or the line is refused.
//   - What a line cannot know stays unknown: -1, zero, or empty. A line is a claim; what it is worth is for the join.
//   - Memory is bounded, however many lines come.
//
// Evidence of a log has the witness "log". Proc without Session means that this process served the one request and nothing else (tftpd-hpa); with
// Session it served one login (FTP, SFTP). Servers that do all in one process (dnsmasq, atftpd) give no Proc. Details say:
//
//	"assumed":true      the line is written in this case and in others: do not count it as proof
//	"boundary":"text"   the line stood in a text file, where a name with a newline can forge one
//	"client":"NAME"     the client as the server names it, where that is no address
//	"format":"..."      which format read it
//	"repeats":true      a failed login that an earlier line of the same connection has told already
//
// It is pure: times come with the entry. Reading journals, files and sockets is for the rooms beside it.
package format
