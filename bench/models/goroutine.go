// goroutine.go - a goroutine for each connection, with Go's net/http: straight-line code that seems to block.
// The run time moves goroutines between its threads and waits for all their sockets with one epoll set; each has
// a stack that grows. The paths and answers are those of common/workloads.h, the parser and the rest are Go's.
//
//	goroutine [--port N] [--threads N] [--pool N] [--service-port N]
//
// A pool of --pool connections to the service for each of --threads belongs to all goroutines together.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
)

const page = "<!doctype html><html lang=\"en\"><title>coreactor</title><p>One reactor per core.</p>"

// hashSteps is the hash of common/workloads.c: as many steps, and the same value.
func hashSteps() uint64 {
	hash := uint64(0xcbf29ce484222325)
	for i := uint64(0); i < 1000000; i++ {
		hash = (hash ^ (i & 0xff)) * 0x100000001b3
	}
	return hash
}

// service is asked over connections that stay open, one question at a time on each.
type service struct {
	address string
	idle    chan net.Conn
	open    chan struct{} // has a place for each connection that may be open
}

// link returns a connection that is idle, or a new one; when there may be no more of them it waits.
func (s *service) link() (link net.Conn, fresh bool, err error) {
	select {
	case link = <-s.idle:
		return link, false, nil
	default:
	}
	select {
	case link = <-s.idle:
		return link, false, nil
	case s.open <- struct{}{}:
		if link, err = net.Dial("tcp", s.address); err != nil {
			<-s.open
		}
		return link, true, err
	}
}

func exchangeByte(link net.Conn) error {
	_, err := link.Write([]byte{'?'})
	if err == nil {
		_, err = link.Read(make([]byte, 1))
	}
	return err
}

// ask returns when the service has answered. A connection that was idle may have been closed meanwhile: then
// the next is tried, at last a new one.
func (s *service) ask() error {
	for {
		link, fresh, err := s.link()
		if err != nil {
			return err
		}
		if err = exchangeByte(link); err == nil {
			s.idle <- link
			return nil
		}
		link.Close()
		<-s.open
		if fresh {
			return err
		}
	}
}

func answer(w http.ResponseWriter, kind, text string) {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	w.Write([]byte(text))
}

// route has GET and HEAD requests for a path answered, and refuses others.
func route(path string, handler http.HandlerFunc) {
	http.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "Method Not Allowed", http.StatusMethodNotAllowed)
			return
		}
		handler(w, r)
	})
}

func readOption(name string, value int, usage string) *int {
	flag.Func(name, usage, func(text string) error {
		number, err := strconv.ParseUint(text, 10, 16)
		if err == nil && number == 0 {
			err = strconv.ErrRange
		}
		value = int(number)
		return err
	})
	return &value
}

func main() {
	port := readOption("port", 18600, "where it listens, on 127.0.0.1")
	threads := readOption("threads", runtime.NumCPU(), "GOMAXPROCS")
	pool := readOption("pool", 1000, "connections to the service, for each thread")
	servicePort := readOption("service-port", 18599, "where the service listens")
	if flag.Parse(); flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	runtime.GOMAXPROCS(*threads)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-stop
		os.Exit(0)
	}()

	links := *pool * *threads
	service := &service{fmt.Sprintf("127.0.0.1:%d", *servicePort), make(chan net.Conn, links), make(chan struct{}, links)}
	route("/fast", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "text/html; charset=utf-8", page)
	})
	route("/work", func(w http.ResponseWriter, r *http.Request) {
		answer(w, "text/plain", fmt.Sprintf("%016x\n", hashSteps()))
	})
	route("/wait", func(w http.ResponseWriter, r *http.Request) {
		if err := service.ask(); err != nil {
			http.Error(w, "Bad Gateway", http.StatusBadGateway)
			return
		}
		answer(w, "text/plain", "waited\n")
	})
	fmt.Fprintln(os.Stderr, "goroutine:", http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *port), nil))
	os.Exit(1)
}
