/*
 * The sandbox's first process: holds the pod's namespaces, reaps orphans, exits on SIGINT and SIGTERM.
 *
 * The program makes raw system calls instead of linking a libc, so it has a few KiB instead of 700. It blocks the signals
 * and waits for them, because the kernel drops unblocked signals to a PID 1 without a handler, and a handler would need a
 * restorer stub.
 */
#include <asm/unistd.h>

enum { SIG_BLOCKED = 0, INT = 2, TERM = 15, CHLD = 17, WITHOUT_HANG = 1, MASK_BYTES = 8 };

static long call4(long number, long a, long b, long c, long d) {
#if defined(__x86_64__)
  long result;
  register long r10 __asm__("r10") = d;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
                   : "rcx", "r11", "memory");
  return result;
#elif defined(__aarch64__)
  register long x8 __asm__("x8") = number;
  register long x0 __asm__("x0") = a;
  register long x1 __asm__("x1") = b;
  register long x2 __asm__("x2") = c;
  register long x3 __asm__("x3") = d;
  __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
  return x0;
#else
#error "pause.c knows amd64 and arm64"
#endif
}

/* The kernel enters here with any stack alignment, and no code in this file needs a particular one. */
__attribute__((noreturn)) void _start(void) {
  unsigned long mask = 1UL << (INT - 1) | 1UL << (TERM - 1) | 1UL << (CHLD - 1);

  call4(__NR_rt_sigprocmask, SIG_BLOCKED, (long)&mask, 0, MASK_BYTES);
  for (;;) {
    long signal = call4(__NR_rt_sigtimedwait, (long)&mask, 0, 0, MASK_BYTES);
    if (signal == INT || signal == TERM) {
      for (;;) call4(__NR_exit_group, 0, 0, 0, 0);
    }
    /* One SIGCHLD may stand for many children. */
    while (call4(__NR_wait4, -1, 0, WITHOUT_HANG, 0) > 0) {
    }
  }
}
