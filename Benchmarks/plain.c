/* The yardstick of Benchmarks/load: the same devices asked, kept and handed on by the shortest C there is. Nothing of what makes a gateway is
 * here: one dead device stops all, a receiver that is away loses everything, and nothing is retried.
 *
 *   plain values|polls FIRST_PORT DEVICES SECONDS DATABASE RECEIVER_PORT
 *
 * `values` keeps a row a value, `polls` one packed row a poll; both in WAL with synchronous NORMAL, a transaction a second. What is handed on is
 * InfluxDB line protocol, a request a second, not compressed. Prints CPU seconds per million values.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <modbus/modbus.h>
#include <netinet/tcp.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { POINTS = 40, WORDS = 80, DEVICES = 1000 };

static void fail(const char *what) {
    fprintf(stderr, "plain: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static int receiver = -1;

static void post(const char *body, size_t length, int port) {
    static char head[256], answer[4096];
    if (receiver < 0) {
        struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
        receiver = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(receiver, (struct sockaddr *)&address, sizeof address) != 0) fail("receiver");
        int on = 1;
        setsockopt(receiver, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    int count = snprintf(head, sizeof head, "POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n", length);
    if (send(receiver, head, count, MSG_MORE) != count) fail("receiver");
    for (size_t sent = 0; sent < length;) {
        ssize_t some = send(receiver, body + sent, length - sent, MSG_NOSIGNAL);
        if (some <= 0) fail("receiver");
        sent += some;
    }
    /* One read holds the answer of every receiver that is used here. */
    if (recv(receiver, answer, sizeof answer, 0) <= 0) {
        close(receiver);
        receiver = -1;
    }
}

int main(int argc, char **argv) {
    if (argc != 7) {
        fprintf(stderr, "usage: plain values|polls FIRST_PORT DEVICES SECONDS DATABASE RECEIVER_PORT\n");
        return 64;
    }
    int packed = strcmp(argv[1], "polls") == 0, first = atoi(argv[2]), devices = atoi(argv[3]), seconds = atoi(argv[4]);
    if (devices < 1 || devices > DEVICES) return 64;
    static modbus_t *contexts[DEVICES];
    for (int device = 0; device < devices; device++) {
        contexts[device] = modbus_new_tcp("127.0.0.1", first + device);
        if (contexts[device] == NULL || modbus_connect(contexts[device]) != 0) fail("device");
        modbus_set_slave(contexts[device], 1);
    }
    sqlite3 *database;
    sqlite3_stmt *insert;
    if (sqlite3_open(argv[5], &database) != SQLITE_OK) fail("database");
    sqlite3_exec(database, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL", 0, 0, 0);
    sqlite3_exec(database, packed ? "CREATE TABLE readings(seq INTEGER PRIMARY KEY, time INTEGER, device INTEGER, words BLOB)"
                                  : "CREATE TABLE readings(seq INTEGER PRIMARY KEY, time INTEGER, device INTEGER, point INTEGER, value REAL)", 0, 0, 0);
    const char *sql = packed ? "INSERT INTO readings(time, device, words) VALUES(?, ?, ?)"
                             : "INSERT INTO readings(time, device, point, value) VALUES(?, ?, ?, ?)";
    if (sqlite3_prepare_v2(database, sql, -1, &insert, 0) != SQLITE_OK) fail(sqlite3_errmsg(database));
    char *body = malloc(devices * POINTS * 32 + devices * 64);
    long values = 0;
    double turn = now();
    for (int second = 0; second < seconds; second++, turn += 1) {
        size_t length = 0;
        sqlite3_exec(database, "BEGIN", 0, 0, 0);
        for (int device = 0; device < devices; device++) {
            uint16_t words[WORDS];
            if (modbus_read_registers(contexts[device], 0, WORDS, words) != WORDS) fail("device");
            struct timespec wall;
            clock_gettime(CLOCK_REALTIME, &wall);
            sqlite3_int64 time = wall.tv_sec * 1000LL + wall.tv_nsec / 1000000;
            sqlite3_bind_int64(insert, 1, time);
            sqlite3_bind_int(insert, 2, device);
            if (packed) {
                sqlite3_bind_blob(insert, 3, words, sizeof words, SQLITE_STATIC);
                sqlite3_step(insert);
                sqlite3_reset(insert);
            }
            length += sprintf(body + length, "load,device=d%d ", device + 1);
            for (int point = 0; point < POINTS; point++) {
                float value = modbus_get_float_abcd(words + 2 * point);
                if (!packed) {
                    sqlite3_bind_int(insert, 3, point);
                    sqlite3_bind_double(insert, 4, value);
                    sqlite3_step(insert);
                    sqlite3_reset(insert);
                }
                length += sprintf(body + length, "%sv%d=%.7g", point ? "," : "", point, value);
            }
            length += sprintf(body + length, " %lld\n", (long long)time);
            values += POINTS;
        }
        if (sqlite3_exec(database, "COMMIT", 0, 0, 0) != SQLITE_OK) fail(sqlite3_errmsg(database));
        post(body, length, atoi(argv[6]));
        double rest = turn + 1 - now();
        if (rest > 0) usleep(rest * 1e6);
    }
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = used.ru_utime.tv_sec + used.ru_stime.tv_sec + (used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("%.2f\n", cpu / values * 1e6);
    return 0;
}
