/* zlib (Debian zlib1g-dev) and a corner of glibc as Swift sees them. */
#include <sys/timex.h>
#include <sys/xattr.h>
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
