/* zlib (Debian zlib1g-dev) as Swift sees it. */
#include <zlib.h>

/* The init calls are macros, which Swift does not import. `windowBits` 15 + 16 writes a gzip frame, -15 a bare deflate stream. */
static inline int czlib_deflate_init(z_stream *stream, int level, int windowBits) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, 8, Z_DEFAULT_STRATEGY);
}
static inline int czlib_inflate_init(z_stream *stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}
