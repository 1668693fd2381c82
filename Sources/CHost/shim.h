/* zlib (Debian zlib1g-dev) and a corner of glibc as Swift sees them. */
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timex.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>

/* The init calls are macros, which Swift does not import. `windowBits` 15 + 16 writes a gzip frame, -15 a bare deflate stream. */
static inline int chost_deflate_init(z_stream *stream, int level, int windowBits) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY);
}
static inline int chost_inflate_init(z_stream *stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}

/* Hidden by Swift's Glibc module, which reads the headers without _GNU_SOURCE. The name is cut at 15 bytes by the caller. */
extern int pthread_setname_np(unsigned long thread, const char *name);
extern int ppoll(struct pollfd *descriptors, nfds_t count, const struct timespec *bound, const sigset_t *signals);

/* epoll(7) with plain arguments: its event is a packed struct with a union, and its flags are an enum of unsigned values. Each watch is for
 * one event, whatever has come before it. */
static inline int chost_epoll_create(void) { return epoll_create1(EPOLL_CLOEXEC); }
static inline int chost_bell_create(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
static inline int chost_epoll_watch(int poller, int descriptor, int writable) {
    struct epoll_event event = {.events = (writable ? EPOLLOUT : EPOLLIN) | EPOLLONESHOT, .data = {.fd = descriptor}};
    if (epoll_ctl(poller, EPOLL_CTL_MOD, descriptor, &event) == 0) return 0;
    return errno == ENOENT ? epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event) : -1;
}
static inline int chost_epoll_keep(int poller, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = descriptor}};
    return epoll_ctl(poller, EPOLL_CTL_ADD, descriptor, &event);
}
static inline int chost_epoll_wait(int poller, int *descriptors, int room, long long nanoseconds) {
    struct epoll_event events[64];
    struct timespec bound = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int limit = room < 64 ? room : 64;
    int count = epoll_pwait2(poller, events, limit, &bound, 0);
    /* Before Linux 5.11 there are only milliseconds; rounded up, so that nobody spins. */
    if (count < 0 && errno == ENOSYS) count = epoll_wait(poller, events, limit, (int)((nanoseconds + 999999) / 1000000));
    for (int index = 0; index < count; index++) descriptors[index] = events[index].data.fd;
    return count;
}
static inline void chost_bell_ring(int bell) { eventfd_write(bell, 1); }
static inline void chost_bell_clear(int bell) { eventfd_t value; eventfd_read(bell, &value); }

/* A macro of a negative number, which Swift does not import. */
static inline int chost_one_arena(void) { return mallopt(M_ARENA_MAX, 1); }
