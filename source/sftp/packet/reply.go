package packet

import "encoding/binary"

// Code is what a Status says (section 7).
type Code uint32

// The codes of version 3.
const (
	OK               Code = 0
	EOF              Code = 1
	NoSuchFile       Code = 2
	PermissionDenied Code = 3
	Failure          Code = 4
	BadMessage       Code = 5
	Unsupported      Code = 8
)

// Entry is one name of a listing.
type Entry struct {
	Name, Long string
	Attrs      Attrs
}

// DataHead is how many bytes stand before the content in a Data packet.
const DataHead = 4 + 1 + 4 + 4

func begin(b []byte, kind byte, id uint32) ([]byte, int) {
	at := len(b)
	return binary.BigEndian.AppendUint32(append(b, 0, 0, 0, 0, kind), id), at
}

// AppendVersion answers Init with version 3 and the extensions.
func AppendVersion(b []byte) []byte {
	b, at := begin(b, Version, 3)
	for _, e := range [...][2]string{{PosixRename, "1"}, {StatVFS, "2"}, {FStatVFS, "2"}, {Hardlink, "1"}, {Fsync, "1"}, {Limits, "1"}, {CopyData, "1"}} {
		b = appendText(appendText(b, e[0]), e[1])
	}
	return Finish(b, at)
}

// AppendStatus says how a request ended.
func AppendStatus(b []byte, id uint32, code Code, text string) []byte {
	b, at := begin(b, Status, id)
	b = binary.BigEndian.AppendUint32(b, uint32(code))
	return Finish(appendText(appendText(b, text), "en"), at)
}

// AppendHandle names an open file.
func AppendHandle(b []byte, id uint32, handle string) []byte {
	b, at := begin(b, Handle, id)
	return Finish(appendText(b, handle), at)
}

// AppendNames is a part of a listing.
func AppendNames(b []byte, id uint32, list []Entry) []byte {
	b, at := begin(b, Name, id)
	b = binary.BigEndian.AppendUint32(b, uint32(len(list)))
	for i := range list {
		b = list[i].Attrs.append(appendText(appendText(b, list[i].Name), list[i].Long))
	}
	return Finish(b, at)
}

// AppendAttrs tells attributes.
func AppendAttrs(b []byte, id uint32, a Attrs) []byte {
	b, at := begin(b, Attributes, id)
	return Finish(a.append(b), at)
}

// AppendNumbers answers an extension by numbers (limits, statvfs).
func AppendNumbers(b []byte, id uint32, numbers ...uint64) []byte {
	b, at := begin(b, ExtendedReply, id)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return Finish(b, at)
}

// PutData writes what stands before n bytes of content into p, which has DataHead bytes.
func PutData(p []byte, id uint32, n int) {
	binary.BigEndian.PutUint32(p, uint32(DataHead-4+n))
	p[4] = Data
	binary.BigEndian.PutUint32(p[5:], id)
	binary.BigEndian.PutUint32(p[9:], uint32(n))
}
