#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include "ctoml.h"

// toml++ 3.3 asserts in places that bad input reaches ("[[[" does); the code behind those asserts reports the error well. A daemon
// must not die of a config file, and in release builds the asserts would even turn into assumptions.
#include <toml++/impl/preprocessor.h>
#undef TOML_ASSERT
#define TOML_ASSERT(expr) static_assert(true)
#undef TOML_ASSERT_ASSUME
#define TOML_ASSERT_ASSUME(expr) static_assert(true)

#include <toml++/toml.h>

#include <cstdio>
#include <string_view>

namespace {

ctoml_place place_of(const toml::source_position &position) {
    return {static_cast<uint32_t>(position.line), static_cast<uint32_t>(position.column)};
}

struct Walk {
    void *context;
    void (*visit)(void *, const ctoml_event *);

    void emit(ctoml_event event, ctoml_kind kind) const {
        event.kind = kind;
        visit(context, &event);
    }

    void walk(const toml::key *key, const toml::node &node) const {
        ctoml_event event{};
        event.place = place_of(node.source().begin);
        if (key != nullptr) {
            event.key = key->str().data();
            event.key_length = key->str().size();
            event.key_place = place_of(key->source().begin);
        }
        if (const auto *table = node.as_table()) {
            emit(event, CTOML_TABLE_BEGIN);
            for (auto &&[name, value] : *table) walk(&name, value);
            emit(event, CTOML_TABLE_END);
        } else if (const auto *array = node.as_array()) {
            emit(event, CTOML_ARRAY_BEGIN);
            for (const auto &value : *array) walk(nullptr, value);
            emit(event, CTOML_ARRAY_END);
        } else if (const auto *string = node.as_string()) {
            event.text = string->get().data();
            event.text_length = string->get().size();
            emit(event, CTOML_STRING);
        } else if (const auto *integer = node.as_integer()) {
            event.integer = integer->get();
            emit(event, CTOML_INTEGER);
        } else if (const auto *number = node.as_floating_point()) {
            event.number = number->get();
            emit(event, CTOML_FLOAT);
        } else if (const auto *boolean = node.as_boolean()) {
            event.boolean = boolean->get();
            emit(event, CTOML_BOOLEAN);
        } else {
            emit(event, CTOML_DATE);
        }
    }
};

// Tables in tables are walked and freed by recursion. toml++ bounds nested values, but not the parts of a dotted key.
constexpr int deepest_key = 64;

// The place where a dotted key gets too deep; line 0 when none does. Looks at what stands outside strings and comments only.
ctoml_place too_deep(std::string_view text) {
    ctoml_place place{1, 0};
    int parts = 0;
    for (size_t at = 0; at < text.size(); ++at) {
        const char character = text[at];
        ++place.column;
        if (character == '\n') {
            ++place.line;
            place.column = 0;
            parts = 0;
        } else if (character == '#') {
            while (at + 1 < text.size() && text[at + 1] != '\n') ++at;
        } else if (character == '"' || character == '\'') {
            const bool is_long = text.substr(at, 3) == std::string_view{character == '"' ? "\"\"\"" : "\'\'\'"};
            const size_t quotes = is_long ? 3 : 1;
            const std::string_view end = text.substr(at, quotes);
            for (at += quotes; at < text.size() && text.substr(at, quotes) != end; ++at) {
                if (text[at] == '\\' && character == '"') ++at;
                if (at < text.size() && text[at] == '\n') {
                    if (!is_long) break;
                    ++place.line;
                    place.column = 0;
                }
            }
            if (at < text.size() && text[at] == '\n') --at; else at += quotes - 1;
        } else if (character == '.') {
            if (++parts > deepest_key) return place;
        } else if (character == '=' || character == ',' || character == '[' || character == '{') {
            parts = 0;
        }
    }
    return {0, 0};
}

}  // namespace

extern "C" bool ctoml_walk(
    const char *text, size_t length, void *context, void (*visit)(void *, const ctoml_event *), ctoml_error *error) {
    if (const ctoml_place place = too_deep({text, length}); place.line != 0) {
        std::snprintf(error->message, sizeof error->message, "a dotted key has more than %d parts", deepest_key);
        error->place = place;
        return false;
    }
    toml::parse_result result = toml::parse(std::string_view{text, length});
    if (!result) {
        const auto &failure = result.error();
        std::snprintf(
            error->message, sizeof error->message, "%.*s", static_cast<int>(failure.description().size()), failure.description().data());
        error->place = place_of(failure.source().begin);
        return false;
    }
    Walk{context, visit}.walk(nullptr, result.table());
    return true;
}
