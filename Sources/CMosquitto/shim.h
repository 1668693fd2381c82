/* libmosquitto (Debian libmosquitto-dev) as Swift sees it. */
#include <mosquitto.h>
#include <mqtt_protocol.h>
