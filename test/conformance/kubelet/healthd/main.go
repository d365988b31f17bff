// Command healthd answers the probes of the walk. It is ready while the file /tmp/ready exists, and alive until
// the file /tmp/ill exists. It serves four consecutive ports, beginning with the given one:
//
//	PORT    HTTP: /ready and /live answer 200 or 503
//	PORT+1  gRPC: the services `ready` and `live` of the standard health protocol
//	PORT+2  TCP: open while it is ready
//	PORT+3  TCP: open while it is alive
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

var conditions = map[string]func() bool{
	"ready": func() bool { return exists("/tmp/ready") },
	"live":  func() bool { return !exists("/tmp/ill") },
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 2 {
		log.Fatal("usage: healthd PORT")
	}
	port, err := strconv.Atoi(os.Args[1])
	if err != nil {
		log.Fatalf("healthd: %v", err)
	}
	go serveHTTP(port)
	go serveGRPC(port + 1)
	go serveTCP(port+2, conditions["ready"])
	go serveTCP(port+3, conditions["live"])
	fmt.Println("healthd serves from port", port)
	// The first process of a container gets only signals that it handles.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	<-signals
}

func serveHTTP(port int) {
	for name, holds := range conditions {
		http.HandleFunc("/"+name, func(reply http.ResponseWriter, _ *http.Request) {
			if !holds() {
				reply.WriteHeader(http.StatusServiceUnavailable)
			}
			fmt.Fprintln(reply, name, holds()) // a write fails only if the client has gone
		})
	}
	log.Fatal(http.ListenAndServe(address(port), nil))
}

type healthServer struct {
	grpc_health_v1.UnimplementedHealthServer
}

func (healthServer) Check(_ context.Context, request *grpc_health_v1.HealthCheckRequest) (*grpc_health_v1.HealthCheckResponse, error) {
	holds, known := conditions[request.Service]
	if !known {
		return nil, status.Errorf(codes.NotFound, "no service %q", request.Service)
	}
	answer := grpc_health_v1.HealthCheckResponse_NOT_SERVING
	if holds() {
		answer = grpc_health_v1.HealthCheckResponse_SERVING
	}
	return &grpc_health_v1.HealthCheckResponse{Status: answer}, nil
}

func serveGRPC(port int) {
	listener, err := net.Listen("tcp", address(port))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, healthServer{})
	log.Fatal(server.Serve(listener))
}

// serveTCP opens and closes the port. It gets no notification of a change, so it checks the file at intervals.
func serveTCP(port int, holds func() bool) {
	var listener net.Listener
	for ; ; time.Sleep(200 * time.Millisecond) {
		switch {
		case holds() && listener == nil:
			var err error
			if listener, err = net.Listen("tcp", address(port)); err != nil {
				log.Fatal(err)
			}
			go acceptAll(listener)
		case !holds() && listener != nil:
			listener.Close() // the port is free either way
			listener = nil
		}
	}
}

// acceptAll accepts and closes connections until the listener is closed.
func acceptAll(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		connection.Close() // an open port is the whole answer
	}
}

func address(port int) string { return fmt.Sprintf(":%d", port) }

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
