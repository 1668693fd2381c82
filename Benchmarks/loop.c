/* The yardstick of Benchmarks/bus: what plain C on libmodbus does, one request after the other.
 *
 *   loop serve PORT                                             a Modbus TCP server of 80 holding registers, one connection
 *   loop tcp HOST PORT COUNT SECONDS                            reads COUNT registers at address 0 of unit 1
 *   loop rtu PATH BAUD PARITY UNITS ADDRESS COUNT SECONDS       reads COUNT registers of unit 1 ... UNITS in turn, silence between frames kept
 *
 * Prints requests answered and seconds taken.
 */
#include <errno.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

static int fail(const char *what) {
    fprintf(stderr, "loop: %s: %s\n", what, modbus_strerror(errno));
    return 1;
}

static int serve(int port) {
    modbus_t *context = modbus_new_tcp("127.0.0.1", port);
    modbus_mapping_t *mapping = modbus_mapping_new(0, 0, 80, 80);
    int listener = context && mapping ? modbus_tcp_listen(context, 1) : -1;
    if (listener < 0) return fail("listen");
    for (int index = 0; index < 80; index++) mapping->tab_registers[index] = index;
    for (;;) {
        unsigned char query[MODBUS_TCP_MAX_ADU_LENGTH];
        if (modbus_tcp_accept(context, &listener) < 0) return fail("accept");
        for (int length; (length = modbus_receive(context, query)) >= 0;)
            if (length > 0 && modbus_reply(context, query, length, mapping) < 0) break;
        modbus_close(context);
    }
}

static int ask(modbus_t *context, int units, int address, int count, double gap, double seconds) {
    unsigned short words[MODBUS_MAX_READ_REGISTERS];
    long answered = 0;
    double start = now();
    int unit = 1;
    while (now() - start < seconds) {
        modbus_set_slave(context, unit);
        unit = unit % units + 1;
        if (modbus_read_registers(context, address, count, words) != count) return fail("read");
        answered++;
        if (gap > 0) {
            struct timespec silence = {0, gap * 1e9};
            nanosleep(&silence, NULL);
        }
    }
    printf("%ld %.3f\n", answered, now() - start);
    return 0;
}

int main(int count, char **words) {
    if (count == 3 && !strcmp(words[1], "serve")) return serve(atoi(words[2]));
    if (count == 6 && !strcmp(words[1], "tcp")) {
        modbus_t *context = modbus_new_tcp(words[2], atoi(words[3]));
        if (!context || modbus_connect(context) < 0) return fail("connect");
        return ask(context, 1, 0, atoi(words[4]), 0, atof(words[5]));
    }
    if (count == 9 && !strcmp(words[1], "rtu")) {
        int baud = atoi(words[3]);
        modbus_t *context = modbus_new_rtu(words[2], baud, words[4][0], 8, 1);
        modbus_set_response_timeout(context, 1, 0);
        if (!context || modbus_connect(context) < 0) return fail("connect");
        double gap = baud > 19200 ? 0.00175 : 3.5 * (words[4][0] == 'N' ? 10 : 11) / baud;
        return ask(context, atoi(words[5]), atoi(words[6]), atoi(words[7]), gap, atof(words[8]));
    }
    fprintf(stderr, "usage: loop serve PORT | tcp HOST PORT COUNT SECONDS | rtu PATH BAUD PARITY UNITS ADDRESS COUNT SECONDS\n");
    return 64;
}
