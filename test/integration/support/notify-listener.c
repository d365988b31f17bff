/*
 * systemd's end of the notification socket, for tests. It prints a line `PID MESSAGE` for each datagram, with the PID that the
 * kernel reports. The argument is the path of the socket.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_DGRAM, 0), on = 1;

  if (count != 2 || strlen(words[1]) >= sizeof address.sun_path) return 2;
  strcpy(address.sun_path, words[1]);
  if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0) return 1;
  if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0) return 1;
  puts("listening");
  fflush(stdout);
  for (;;) {
    char text[512];
    union {
      struct cmsghdr header;
      char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(8 * sizeof(int))];
    } control;
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    long length = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    int pid = 0;

    if (length < 0) return 1;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one != NULL; one = CMSG_NXTHDR(&message, one)) {
      if (one->cmsg_type == SCM_CREDENTIALS) pid = ((struct ucred *)CMSG_DATA(one))->pid;
      /* BARRIER=1: systemd-notify waits until its descriptor is closed. */
      if (one->cmsg_type == SCM_RIGHTS) close(*(int *)CMSG_DATA(one));
    }
    printf("%d %.*s\n", pid, (int)length, text);
    fflush(stdout);
  }
}
