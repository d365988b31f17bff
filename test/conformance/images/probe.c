/* One static binary for what busybox cannot show: it acts by the name it is called with.
 *   nnp            prints its effective user id: the file is set-uid root
 *   udp-echo PORT  sends datagrams back, on IPv4 and IPv6
 *   pause          waits to be killed */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int signal) { _exit(signal ? 0 : 1); }

static int udp_echo(int port) {
  char data[2048];
  struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
  int server = socket(AF_INET6, SOCK_DGRAM, 0), no = 0;
  setsockopt(server, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (bind(server, (struct sockaddr *)&address, sizeof address)) return perror("bind"), 1;
  puts("ready");
  fflush(stdout);
  for (;;) {
    struct sockaddr_in6 from;
    socklen_t length = sizeof from;
    ssize_t got = recvfrom(server, data, sizeof data, 0, (struct sockaddr *)&from, &length);
    if (got >= 0) sendto(server, data, got, 0, (struct sockaddr *)&from, length);
  }
}

int main(int count, char **arguments) {
  const char *slash = strrchr(arguments[0], '/'), *name = slash ? slash + 1 : arguments[0];
  signal(SIGTERM, leave);
  signal(SIGINT, leave);
  if (!strcmp(name, "nnp")) return printf("Effective uid: %d\n", (int)geteuid()) < 0;
  if (!strcmp(name, "udp-echo") && count == 2) return udp_echo(atoi(arguments[1]));
  for (;;) pause();
}
