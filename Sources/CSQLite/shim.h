/* libsqlite3 (Debian libsqlite3-dev) as Swift sees it. */
#include <sqlite3.h>

/* A function pointer constant that Swift does not import: SQLite copies the bytes it is given. */
static inline sqlite3_destructor_type csqlite_transient(void) { return SQLITE_TRANSIENT; }

/* sqlite3_db_config is variadic, which Swift does not import. Afterwards closing the connection leaves database and WAL as they are. */
static inline int csqlite_no_checkpoint_on_close(sqlite3 *db) {
    return sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)0);
}
