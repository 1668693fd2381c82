#pragma once
/* toml++ (Debian libtomlplusplus-dev) as a walk of C events, each with its place in the text. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __cplusplus
extern "C" {
#endif

enum ctoml_kind {
    CTOML_TABLE_BEGIN,
    CTOML_TABLE_END,
    CTOML_ARRAY_BEGIN,
    CTOML_ARRAY_END,
    CTOML_STRING,
    CTOML_INTEGER,
    CTOML_FLOAT,
    CTOML_BOOLEAN,
    CTOML_DATE
};

/* Counted from 1. */
typedef struct {
    uint32_t line;
    uint32_t column;
} ctoml_place;

/* `key` is NULL for the elements of an array and for the root. Text is valid during the call only and is not NUL-terminated. */
typedef struct {
    enum ctoml_kind kind;
    const char *key;
    size_t key_length;
    ctoml_place key_place;
    ctoml_place place;
    const char *text;
    size_t text_length;
    int64_t integer;
    double number;
    bool boolean;
} ctoml_event;

typedef struct {
    char message[512];
    ctoml_place place;
} ctoml_error;

/* Walks the document depth first, keys in byte order. False, with `error` filled, when it is no TOML 1.0. */
bool ctoml_walk(
    const char *text, size_t length, void *context, void (*visit)(void *context, const ctoml_event *event), ctoml_error *error);

#ifdef __cplusplus
}
#endif
