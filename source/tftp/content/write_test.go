package content

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"tallyman"
)

// memoryUpload is an Upload of bytes that logs what is done to it.
type memoryUpload struct {
	bytes.Buffer
	log   []string
	fails string
}

var errDisk = errors.New("disk")

func (u *memoryUpload) do(what string) error {
	u.log = append(u.log, what)
	if u.fails == what {
		return errDisk
	}
	return nil
}

func (u *memoryUpload) Write(p []byte) (int, error) {
	if err := u.do("write"); err != nil {
		return 0, err
	}
	return u.Buffer.Write(p)
}
func (u *memoryUpload) Path() string   { return "/srv/file" }
func (u *memoryUpload) Handle() string { return "1:2" }
func (u *memoryUpload) Commit() error  { return u.do("commit") }
func (u *memoryUpload) Abort()         { _ = u.do("abort") }

// recorder logs into an upload.
type recorder struct {
	upload *memoryUpload
	got    tallyman.Evidence
}

func (r *recorder) Record(...tallyman.Evidence) {}
func (r *recorder) Commit(_ context.Context, batch ...tallyman.Evidence) error {
	if len(batch) == 0 {
		return r.upload.do("sync")
	}
	r.got = batch[0]
	return r.upload.do("record")
}

// play brings content into an upload by way of workers and returns the last answer.
func play(t *testing.T, u *memoryUpload, content []byte, block int, drop bool) (Job, *recorder) {
	t.Helper()
	rec := &recorder{upload: u}
	back := make(chan Job, 1)
	workers := Start(1, rec, func(j Job) { back <- j })
	defer workers.Stop()
	w := NewWriting(u, false, block)
	closed := func() *tallyman.Evidence {
		return &tallyman.Evidence{Size: w.Size()}
	}
	for at := 0; ; at += block {
		end := min(at+block, len(content))
		w.Take(content[at:end], end-at < block)
		for w.Full() {
			if j, ok := w.Next("me", closed); ok {
				workers.Give(j)
			}
			j := <-back
			w.Back(&j)
			if j.Err != nil {
				return j, rec
			}
		}
		if end-at < block {
			break
		}
	}
	if drop {
		w.Drop()
	}
	for {
		j, ok := w.Next("me", closed)
		if !ok {
			t.Fatal("no job is left, and none was the last")
		}
		if _, twice := w.Next("me", closed); twice {
			t.Fatal("two jobs at once")
		}
		workers.Give(j)
		j = <-back
		w.Back(&j)
		if j.Of != "me" {
			t.Errorf("the job came back to %v", j.Of)
		}
		if j.Finished() || j.Dropped() || j.Err != nil {
			if _, more := w.Next("me", closed); more {
				t.Error("a job follows the last one")
			}
			return j, rec
		}
	}
}

func TestUploadIsWrittenStoredAndThenRecorded(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, block := range []int{64 << 10, 999_999, 2_000_000} {
		u := &memoryUpload{}
		j, rec := play(t, u, content, block, false)
		if j.Err != nil || !j.Finished() || !bytes.Equal(u.Bytes(), content) {
			t.Errorf("block %d: %v, %d bytes", block, j.Err, u.Len())
		}
		if end := u.log[len(u.log)-3:]; !slices.Equal(end, []string{"sync", "commit", "record"}) {
			t.Errorf("block %d: ends with %v", block, end)
		}
		if rec.got.Digest != digestOf(content) || rec.got.Size != int64(len(content)) || rec.got.Time.IsZero() {
			t.Errorf("recorded %+v", rec.got)
		}
	}
}

func TestNothingIsRecordedThatIsNotStored(t *testing.T) {
	for _, fails := range []string{"write", "sync", "commit"} {
		u := &memoryUpload{fails: fails}
		j, rec := play(t, u, []byte("abc"), 512, false)
		if j.Err == nil || rec.got.Size != 0 || slices.Contains(u.log, "record") || fails == "sync" && slices.Contains(u.log, "commit") {
			t.Errorf("%s fails: %v, %v", fails, j.Err, u.log)
		}
	}
}

func TestUploadThatCannotBeRecordedSaysSo(t *testing.T) {
	u := &memoryUpload{fails: "record"}
	j, _ := play(t, u, []byte("abc"), 512, false)
	if r := RefusalOf(j.Err); r.Reason != tallyman.DiskFull {
		t.Errorf("got %+v", r)
	}
}

func TestDroppedUploadIsRemoved(t *testing.T) {
	u := &memoryUpload{}
	j, _ := play(t, u, []byte("abc"), 512, true)
	if !j.Dropped() || !slices.Equal(u.log, []string{"abort"}) {
		t.Errorf("did %v", u.log)
	}
}

func TestFullUploadAsksToWait(t *testing.T) {
	w := NewWriting(&memoryUpload{}, false, 512)
	n := 0
	for ; !w.Full(); n++ {
		w.Take(make([]byte, 512), false)
		if n > 1000 {
			t.Fatal("it takes everything")
		}
	}
	if held := n * 512; held > (chunksWaiting+1)*largestChunk {
		t.Errorf("%d bytes are held", held)
	}
	w.Take(nil, true)
	if w.Full() {
		t.Error("it asks to wait for what will not come")
	}
}

func TestTheDigestIsRightWhoeverDigests(t *testing.T) {
	content := make([]byte, 3<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range content {
		content[i] = byte(random.Uint32())
	}
	want := sumText(sha256.Sum256(content))
	for round := range 20 {
		rec := &recorder{upload: &memoryUpload{}}
		back := make(chan Job, 1)
		workers := Start(1, rec, func(j Job) { back <- j })
		w := NewWriting(rec.upload, false, 4<<10)
		var evidence tallyman.Evidence
		closed := func() *tallyman.Evidence { return &evidence }
		summed, out := 0, false
		take := func(wait bool) {
			if j, ok := w.Next("me", closed); ok {
				workers.Give(j)
				out = true
			}
			select {
			case j := <-back:
				w.Back(&j)
				out = false
			default:
				if out && wait {
					j := <-back
					w.Back(&j)
					out = false
				}
			}
		}
		for at := 0; at < len(content); {
			n := min(1+random.IntN(6000), len(content)-at)
			w.Take(content[at:at+n], at+n == len(content))
			at += n
			if random.IntN(3) < round%4 {
				summed += w.Sum()
			}
			take(w.Full())
		}
		for out || w.last {
			take(true)
		}
		workers.Stop()
		if rec.got.Digest != want {
			t.Errorf("round %d: digest %s, want %s; %d bytes were digested here", round, rec.got.Digest, want, summed)
		}
		if here := round%4 > 0; here != (summed > 0) {
			t.Errorf("round %d: %d bytes were digested here", round, summed)
		}
	}
}

func TestUploadedTextIsConverted(t *testing.T) {
	u := &memoryUpload{}
	w := NewWriting(u, true, 512)
	w.Take([]byte("a\r"), false)
	w.Take([]byte("\nb\r\x00c\r"), true)
	if got := w.full[0].bytes; len(w.full) != 1 || !w.Text() || w.Size() != 6 || string(got) != "a\nb\rc\r" {
		t.Errorf("%d bytes, %q", w.Size(), got)
	}
}

func TestManyUploadsShareTheWorkers(t *testing.T) {
	var wg sync.WaitGroup
	back := make(chan Job, 100)
	workers := Start(100, &recorder{upload: &memoryUpload{}}, func(j Job) { back <- j })
	uploads := make([]*memoryUpload, 100)
	for i := range uploads {
		uploads[i] = &memoryUpload{}
		wg.Go(func() {
			w := NewWriting(uploads[i], false, 512)
			w.Take([]byte{byte(i)}, true)
			w.last = false // written only: the recorder above is not for many
			j, _ := w.Next(i, nil)
			workers.Give(j)
		})
	}
	wg.Wait()
	workers.Stop()
	for i, u := range uploads {
		if j := <-back; j.Err != nil || u.Len() != 1 {
			t.Errorf("upload %d: %v, %d bytes", i, j.Err, u.Len())
		}
	}
}
