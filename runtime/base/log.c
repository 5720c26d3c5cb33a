/* Log: one line an event on stderr, JSON when it is not a terminal. A line is one write(2), so lines of several
 * threads do not mix. Text of requests never comes here; that is the callers' duty and the canary test's proof. */
#include "weir_base.h"

#include <stdatomic.h>
#include <unistd.h>

static _Atomic int lowest_level = LOG_INFO;
static const char *const level_names[] = {"debug", "info", "warn", "error"};

void log_set_level(enum log_level level)
{
    atomic_store(&lowest_level, (int)level);
}

int log_level_parse(str name, enum log_level *out)
{
    for (int i = 0; i < 4; i++) {
        if (str_equal(name, str_of(level_names[i]))) {
            *out = (enum log_level)i;
            return 0;
        }
    }
    return WEIR_E_INVALID;
}

void log_event(enum log_level level, const char *event, const char *format, ...)
{
    if ((int)level < atomic_load(&lowest_level))
        return;
    char text[1024], time[32];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    clock_format_utc(clock_wall_ns(), time);
    struct buffer line;
    buffer_init(&line, 8192);
    if (isatty(STDERR_FILENO)) {
        buffer_printf(&line, "%s %-5s %s: %s\n", time, level_names[level], event, text);
    } else {
        buffer_printf(&line, "{\"time\":\"%s\",\"level\":\"%s\",\"event\":\"%s\",\"message\":", time, level_names[level], event);
        buffer_append_json_string(&line, str_of(text));
        buffer_append_text(&line, "}\n");
    }
    if (line.data != NULL) {
        ssize_t written = write(STDERR_FILENO, line.data, line.n);
        (void)written; /* There is nowhere left to report it. */
    }
    buffer_release(&line);
}
