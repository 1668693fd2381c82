/* libzstd (Debian libzstd-dev) as Swift sees it. */
#include <zstd.h>
