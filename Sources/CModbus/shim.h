/* libmodbus (Debian libmodbus-dev) as Swift sees it. */
#include <modbus.h>

/* libmodbus spells its error numbers as arithmetic macros, which Swift does not import. */
enum {
    CMODBUS_ILLEGAL_FUNCTION = EMBXILFUN,
    CMODBUS_ILLEGAL_ADDRESS = EMBXILADD,
    CMODBUS_LAST_EXCEPTION = EMBXGTAR,
    CMODBUS_BAD_CRC = EMBBADCRC,
    CMODBUS_BAD_DATA = EMBBADDATA,
    CMODBUS_BAD_EXCEPTION = EMBBADEXC,
    CMODBUS_UNKNOWN_EXCEPTION = EMBUNKEXC,
    CMODBUS_TOO_MANY_REGISTERS = EMBMDATA,
    CMODBUS_BAD_SLAVE = EMBBADSLAVE
};
