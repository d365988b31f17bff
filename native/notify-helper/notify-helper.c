/*
 * Sends messages to systemd for its parent, because Node.js has no datagram sockets. The helper lives as long as the parent, so that
 * a sign of life needs no new process (docs/adr/0071-a-helper-for-signs-of-life.md).
 *
 * Standard input: a line with the address in NOTIFY_SOCKET, then a line for each message. Standard output: a line for each
 * message, with 0 or the errno of the attempt to send it. The helper ends when its input ends, and with exit code 2 if it cannot start
 * or a line is too long.
 *
 * Like docker/pause, the program makes raw system calls and has no libc, so it runs on any distribution with any C library.
 */
#include <asm/unistd.h>

enum {
  OVERLONG = -1,
  ENDED = -2,
  EPERM = 1,
  EINTR = 4,
  AF_UNIX = 1,
  SOCK_DGRAM = 2,
  SOCK_CLOEXEC = 02000000,
  SOL_SOCKET = 1,
  SCM_CREDENTIALS = 2,
  MSG_DONTWAIT = 0x40,
  MSG_NOSIGNAL = 0x4000,
  PATH_BYTES = 108,
  LINE_BYTES = 256
};

/* The kernel's structures, which are the same on both architectures. */
struct address {
  unsigned short family;
  char path[PATH_BYTES];
};
struct part {
  void *bytes;
  unsigned long length;
};
struct credentials {
  unsigned long length; /* without the padding at the end */
  int level, type;
  int pid;
  unsigned uid, gid;
} __attribute__((aligned(8)));
enum { CREDENTIALS_BYTES = 28 };
struct message {
  void *name;
  int name_length;
  struct part *parts;
  unsigned long part_count;
  void *control;
  unsigned long control_length;
  int flags;
};

static long call3(long number, long a, long b, long c) {
#if defined(__x86_64__)
  long result;
  __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
  return x0;
#else
#error "notify-helper.c knows amd64 and arm64"
#endif
}

__attribute__((noreturn)) static void end(int code) {
  for (;;) call3(__NR_exit_group, code, 0, 0);
}

/* Returns the length without the newline, OVERLONG or ENDED. Reads byte by byte, because a line comes only every half minute. */
static long read_line(char *line, long size) {
  long length = 0;
  for (;;) {
    char byte;
    long got = call3(__NR_read, 0, (long)&byte, 1);
    if (got == -EINTR) continue;
    if (got <= 0) return ENDED;
    if (byte == '\n') return length <= size ? length : OVERLONG;
    if (length < size) line[length] = byte;
    length++;
  }
}

static void answer(int number) {
  char text[12];
  char *at = text + sizeof text;
  *--at = '\n';
  do *--at = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  if (call3(__NR_write, 1, (long)at, text + sizeof text - at) <= 0) end(0);
}

static struct address systemd;
static char line[LINE_BYTES];

/* The kernel enters here with any stack alignment. This file is compiled without vector registers, so it needs no particular one. */
__attribute__((noreturn)) void _start(void) {
  /* Messages carry the parent's credentials, because systemd with NotifyAccess=main accepts messages of the main process only. */
  struct credentials who = {CREDENTIALS_BYTES, SOL_SOCKET, SCM_CREDENTIALS, (int)call3(__NR_getppid, 0, 0, 0),
                            (unsigned)call3(__NR_getuid, 0, 0, 0), (unsigned)call3(__NR_getgid, 0, 0, 0)};
  long length = read_line(systemd.path, PATH_BYTES);
  long fd = call3(__NR_socket, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  struct part part = {line, 0};
  struct message message = {&systemd, 0, &part, 1, 0, 0, 0};

  if (length <= 0 || fd < 0) end(2);
  systemd.family = AF_UNIX;
  if (systemd.path[0] == '@') systemd.path[0] = 0; /* sd_notify(3) writes an abstract address with an @ */
  message.name_length = (int)(sizeof systemd.family + (unsigned long)length);
  while ((length = read_line(line, LINE_BYTES)) >= 0) {
    long sent;
    part.length = (unsigned long)length;
    message.control = &who;
    message.control_length = sizeof who;
    sent = call3(__NR_sendmsg, fd, (long)&message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent == -EPERM) {
      /* Only root may send the credentials of another process. */
      message.control = 0;
      message.control_length = 0;
      sent = call3(__NR_sendmsg, fd, (long)&message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    answer(sent < 0 ? (int)-sent : 0);
  }
  end(length == ENDED ? 0 : 2);
}
