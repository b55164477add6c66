// mixed.go - the routes of mixed.c with Go's net/http: what every slow handler costs where each request has
// a goroutine, and the run time moves those between threads.
//
//	mixed-go -port PORT -threads N -cpu-ms MS
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"runtime"
	"strconv"
	"time"
)

const page = "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>"

var sink uint64 // so that the loop is not optimised away

func spin(times uint64) {
	sum := uint64(0)
	for i := uint64(0); i < times; i++ {
		sum += sum*6364136223846793005 + i
	}
	sink = sum
}

// calibrate returns how many turns of spin take that long. A goroutine may change its thread, so there is no
// CPU clock to watch: the fastest of many tries, before anything else runs, stands for undisturbed ones.
func calibrate(wanted time.Duration) uint64 {
	const turns = 1 << 20
	fastest := time.Duration(1 << 62)
	for try := 0; try < 100; try++ {
		begin := time.Now()
		spin(turns)
		if taken := time.Since(begin); taken < fastest {
			fastest = taken
		}
	}
	return uint64(float64(turns) * float64(wanted) / float64(fastest))
}

func answer(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	fmt.Fprint(w, text)
}

func main() {
	port := flag.Int("port", 18491, "")
	threads := flag.Int("threads", runtime.NumCPU(), "")
	cpuMS := flag.Int("cpu-ms", 5, "")
	flag.Parse()
	runtime.GOMAXPROCS(*threads)
	turns := calibrate(time.Duration(*cpuMS) * time.Millisecond)

	http.HandleFunc("/fast", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "text/html; charset=utf-8", page)
	})
	http.HandleFunc("/slow", func(w http.ResponseWriter, r *http.Request) {
		spin(turns)
		answer(w, "text/plain", "burnt\n")
	})
	http.HandleFunc("/wait", func(w http.ResponseWriter, r *http.Request) {
		time.Sleep(50 * time.Millisecond)
		answer(w, "text/plain", "waited\n")
	})
	log.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
}
