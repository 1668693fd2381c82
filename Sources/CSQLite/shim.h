/* libsqlite3 (Debian libsqlite3-dev) as Swift sees it. */
#include <sqlite3.h>

/* A function pointer constant that Swift does not import: SQLite copies the bytes it is given. */
static inline sqlite3_destructor_type csqlite_transient(void) { return SQLITE_TRANSIENT; }
