"""A Modbus server that is not ours, for PeerTests: pymodbus with registers packed by Python's struct.

    pymodbus_server.py tcp PORT
    pymodbus_server.py rtu DEVICE BAUD
"""
import struct
import sys

from pymodbus.datastore import ModbusSequentialDataBlock, ModbusServerContext, ModbusSlaveContext
from pymodbus.server import StartSerialServer, StartTcpServer
from pymodbus.transaction import ModbusRtuFramer


def words(layout, *values):
    data = struct.pack(">" + layout, *values)
    return [int.from_bytes(data[i:i + 2], "big") for i in range(0, len(data), 2)]


registers = (
    words("f", 230.4)                      # 0
    + words("i", -100000)                  # 2
    + words("q", 123456789012)             # 4
    + words("h", -250)                     # 8
    + words("H", 65535)                    # 9
    + words("d", 1234567.125)              # 10
    + list(reversed(words("f", 49.98)))    # 14, low word first
    + words("16s", b"SN-0042")             # 16
)
registers += list(range(1000, 1000 + 125 - len(registers)))
bits = [n % 3 == 0 for n in range(40)]
device = ModbusSlaveContext(
    hr=ModbusSequentialDataBlock(0, registers), ir=ModbusSequentialDataBlock(0, registers),
    co=ModbusSequentialDataBlock(0, bits), di=ModbusSequentialDataBlock(0, bits[::-1]), zero_mode=True)
context = ModbusServerContext(slaves={9: device}, single=False)

if sys.argv[1] == "tcp":
    StartTcpServer(context=context, address=("127.0.0.1", int(sys.argv[2])))
else:
    StartSerialServer(context=context, framer=ModbusRtuFramer, port=sys.argv[2], baudrate=int(sys.argv[3]), timeout=1)
