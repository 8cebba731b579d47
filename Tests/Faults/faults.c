// Makes system calls fail on purpose: preloaded into the program (LD_PRELOAD), and told by a page of memory, which the
// file that SOCKEYE_FAULTS names holds, what to fail, when, and how.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

// What happens to a call that is to fail.
enum {
  // It is not made, and returns what failure is for it, with `error` as errno.
  fails = 1,
  // It is made for one octet, one message or one event only.
  is_short = 2,
  // It is made 20 ms late.
  is_late = 3,
};

// The page. Nothing fails while `is_on` is 0, and only then the test changes the rest.
struct fault_switch {
  atomic_int is_on;
  int effect;
  int error;
  // The first call that fails, counted from 1.
  int first;
  // Every how many calls behind that another one fails; 0: none does.
  int period;
  // How often the call was made, and how often it failed.
  atomic_int calls;
  atomic_int faults;
  // Which call, by the name of its function.
  char name[32];
};

static struct fault_switch *the_switch;

// Where the code lies that looks at what an allocation returns: that of C libraries, and the program's own C. Swift's code
// ends the program.
static struct { uintptr_t start, end; } careful[16];
static int careful_count;

static void note(uintptr_t start, uintptr_t end) {
  if (careful_count == sizeof careful / sizeof *careful) return;
  careful[careful_count].start = start;
  careful[careful_count++].end = end;
}

// SOCKEYE_FAULTS_CALLERS says where the program's own C lies: `START-END`, in hexadecimal digits, as the program file has it.
static void note_program(uintptr_t base) {
  const char *text = getenv("SOCKEYE_FAULTS_CALLERS");
  unsigned long start, end;
  if (text && sscanf(text, "%lx-%lx", &start, &end) == 2) note(base + start, base + end);
}

static int note_library(struct dl_phdr_info *info, size_t size, void *unused) {
  (void)size, (void)unused;
  static const char *const names[] = {"libssl", "libcrypto", "libpcre2", "libyaml", "libcrypt.so"};
  // The program comes first, and without a name.
  if (!*info->dlpi_name && careful_count == 0) note_program(info->dlpi_addr);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    if (!strstr(info->dlpi_name, names[i])) continue;
    for (int j = 0; j < info->dlpi_phnum; j++) {
      const ElfW(Phdr) *part = &info->dlpi_phdr[j];
      if (part->p_type != PT_LOAD || !(part->p_flags & PF_X)) continue;
      uintptr_t start = info->dlpi_addr + part->p_vaddr;
      note(start, start + part->p_memsz);
    }
  }
  return 0;
}

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SOCKEYE_FAULTS");
  // Not in the programs that start it.
  if (!path || strcmp(program_invocation_short_name, "sockeye")) return;
  dl_iterate_phdr(note_library, NULL);
  int file = openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (file < 0) return;
  void *page = mmap64(NULL, sizeof(struct fault_switch), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (page != MAP_FAILED) the_switch = page;
}

// What is to happen to this call. A late call has waited when this returns.
static int effect(const char *name) {
  if (!the_switch || !atomic_load(&the_switch->is_on) || strcmp(the_switch->name, name)) return 0;
  int number = atomic_fetch_add(&the_switch->calls, 1) + 1;
  int first = the_switch->first, period = the_switch->period;
  if (number < first || (number > first && (period == 0 || (number - first) % period != 0))) return 0;
  atomic_fetch_add(&the_switch->faults, 1);
  if (the_switch->effect == is_late) {
    struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
  }
  return the_switch->effect;
}

#define REAL(name)                                                    \
  static __typeof__(name) *real;                                      \
  if (!real) real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define FAULT(name) int what = effect(#name)
#define FAIL(value)                           \
  if (what == fails) {                  \
    errno = the_switch->error;  \
    return value;                             \
  }
#define SHORT(size) (what == is_short && (size) > 1 ? 1 : (size))

#define WRAP(type, name, parameters, arguments) \
  type name parameters {                        \
    REAL(name);                                 \
    FAULT(name);                                \
    FAIL((type)-1)                              \
    return real arguments;                      \
  }

WRAP(int, accept4, (int s, struct sockaddr *a, socklen_t *n, int f), (s, a, n, f))
WRAP(int, bind, (int s, const struct sockaddr *a, socklen_t n), (s, a, n))
WRAP(int, connect, (int s, const struct sockaddr *a, socklen_t n), (s, a, n))
WRAP(int, epoll_create1, (int f), (f))
WRAP(int, epoll_ctl, (int e, int o, int d, struct epoll_event *v), (e, o, d, v))
WRAP(int, fchmod, (int d, mode_t m), (d, m))
WRAP(int, fstat, (int d, struct stat *s), (d, s))
WRAP(int, getentropy, (void *b, size_t n), (b, n))
WRAP(int, gethostname, (char *b, size_t n), (b, n))
WRAP(int, getpeername, (int s, struct sockaddr *a, socklen_t *n), (s, a, n))
WRAP(int, getrlimit, (__rlimit_resource_t r, struct rlimit *l), (r, l))
WRAP(int, getsockname, (int s, struct sockaddr *a, socklen_t *n), (s, a, n))
WRAP(int, getsockopt, (int s, int l, int o, void *v, socklen_t *n), (s, l, o, v, n))
WRAP(int, listen, (int s, int n), (s, n))
WRAP(int, lstat, (const char *p, struct stat *s), (p, s))
WRAP(int, madvise, (void *a, size_t n, int f), (a, n, f))
WRAP(int, munmap, (void *a, size_t n), (a, n))
WRAP(int, pipe2, (int p[2], int f), (p, f))
WRAP(int, sem_wait, (sem_t *s), (s))
WRAP(int, setrlimit, (__rlimit_resource_t r, const struct rlimit *l), (r, l))
WRAP(int, setsockopt, (int s, int l, int o, const void *v, socklen_t n), (s, l, o, v, n))
WRAP(int, shutdown, (int s, int h), (s, h))
WRAP(int, sigwaitinfo, (const sigset_t *s, siginfo_t *i), (s, i))
WRAP(int, socket, (int d, int t, int p), (d, t, p))
WRAP(int, stat, (const char *p, struct stat *s), (p, s))
WRAP(int, unlink, (const char *p), (p))
WRAP(ssize_t, read, (int d, void *b, size_t n), (d, b, SHORT(n)))
WRAP(ssize_t, recv, (int s, void *b, size_t n, int f), (s, b, SHORT(n), f))
WRAP(ssize_t, send, (int s, const void *b, size_t n, int f), (s, b, SHORT(n), f))
WRAP(ssize_t, sendto, (int s, const void *b, size_t n, int f, const struct sockaddr *a, socklen_t l), (s, b, n, f, a, l))
WRAP(int, recvmmsg, (int s, struct mmsghdr *m, unsigned n, int f, struct timespec *t), (s, m, SHORT(n), f, t))
WRAP(int, sendmmsg, (int s, struct mmsghdr *m, unsigned n, int f), (s, m, SHORT(n), f))
WRAP(ssize_t, splice, (int a, off64_t *p, int b, off64_t *q, size_t n, unsigned f), (a, p, b, q, SHORT(n), f))

// With several events ready, one is told of.
int epoll_wait(int descriptor, struct epoll_event *events, int count, int timeout) {
  REAL(epoll_wait);
  FAULT(epoll_wait);
  FAIL(-1)
  return real(descriptor, events, SHORT(count), timeout);
}

// Which descriptors are eventfds. A write to one is neither short nor fails, and reaches no device.
static atomic_bool is_eventfd[65536];

static atomic_bool *eventfd_mark(int descriptor) {
  return descriptor >= 0 && descriptor < 65536 ? &is_eventfd[descriptor] : NULL;
}

int eventfd(unsigned value, int flags) {
  REAL(eventfd);
  FAULT(eventfd);
  FAIL(-1)
  int descriptor = real(value, flags);
  atomic_bool *mark = eventfd_mark(descriptor);
  if (mark) atomic_store(mark, true);
  return descriptor;
}

ssize_t write(int descriptor, const void *bytes, size_t count) {
  REAL(write);
  atomic_bool *mark = eventfd_mark(descriptor);
  if (mark && atomic_load(mark)) return real(descriptor, bytes, count);
  FAULT(write);
  FAIL(-1)
  return real(descriptor, bytes, SHORT(count));
}

// A close that fails has closed, as it is on Linux.
int close(int descriptor) {
  REAL(close);
  FAULT(close);
  atomic_bool *mark = eventfd_mark(descriptor);
  if (mark) atomic_store(mark, false);
  int result = real(descriptor);
  FAIL(-1)
  return result;
}

int fcntl(int descriptor, int command, ...) {
  REAL(fcntl);
  va_list list;
  va_start(list, command);
  void *argument = va_arg(list, void *);
  va_end(list);
  FAULT(fcntl);
  FAIL(-1)
  return real(descriptor, command, argument);
}

int ioctl(int descriptor, unsigned long request, ...) {
  REAL(ioctl);
  va_list list;
  va_start(list, request);
  void *argument = va_arg(list, void *);
  va_end(list);
  FAULT(ioctl);
  FAIL(-1)
  return real(descriptor, request, argument);
}

int open(const char *path, int flags, ...) {
  REAL(open);
  va_list list;
  va_start(list, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(list, mode_t) : 0;
  va_end(list);
  FAULT(open);
  FAIL(-1)
  return real(path, flags, mode);
}

void *mmap(void *address, size_t size, int protection, int flags, int file, off_t offset) {
  FAULT(mmap);
  FAIL(MAP_FAILED)
  return mmap64(address, size, protection, flags, file, offset);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *), void *argument) {
  REAL(pthread_create);
  FAULT(pthread_create);
  if (what == fails) return the_switch->error;
  return real(thread, attributes, body, argument);
}

static FILE *open_stream(const char *path, const char *mode, __typeof__(fopen) *real) {
  FAULT(fopen);
  FAIL(NULL)
  return real(path, mode);
}

FILE *fopen(const char *path, const char *mode) {
  REAL(fopen);
  return open_stream(path, mode, real);
}

// OpenSSL's.
FILE *fopen64(const char *path, const char *mode) {
  REAL(fopen64);
  return open_stream(path, mode, real);
}

// Swift has its random numbers from getrandom(2) by this function. Its locks wait by it too, and do not fail.
long syscall(long number, ...) {
  REAL(syscall);
  va_list list;
  va_start(list, number);
  long a = va_arg(list, long), b = va_arg(list, long), c = va_arg(list, long);
  long d = va_arg(list, long), e = va_arg(list, long), f = va_arg(list, long);
  va_end(list);
  if (number != SYS_getrandom) return real(number, a, b, c, d, e, f);
  FAULT(syscall);
  FAIL(-1)
  return real(number, a, SHORT(b), c);
}

// MARK: - Memory

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

static bool fails_for(void *caller, const char *name) {
  if (!the_switch || !atomic_load(&the_switch->is_on)) return false;
  for (int i = 0; i < careful_count; i++) {
    if ((uintptr_t)caller < careful[i].start || (uintptr_t)caller >= careful[i].end) continue;
    if (effect(name) != fails) return false;
    errno = the_switch->error;
    return true;
  }
  return false;
}

#define FAILS_FOR_CALLER(name) fails_for(__builtin_return_address(0), #name)

void *malloc(size_t size) { return FAILS_FOR_CALLER(malloc) ? NULL : __libc_malloc(size); }

void *calloc(size_t count, size_t size) { return FAILS_FOR_CALLER(calloc) ? NULL : __libc_calloc(count, size); }

void *realloc(void *memory, size_t size) { return FAILS_FOR_CALLER(realloc) ? NULL : __libc_realloc(memory, size); }

char *strdup(const char *text) {
  if (FAILS_FOR_CALLER(strdup)) return NULL;
  size_t size = strlen(text) + 1;
  char *copy = __libc_malloc(size);
  return copy ? memcpy(copy, text, size) : NULL;
}
