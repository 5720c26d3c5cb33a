/* See gguf_writer.h. */
#include "model/gguf_writer.h"

#include <errno.h>
#include <limits.h>

int gguf_partial(const char *out, char *real, char *partial, struct error *err)
{
    int kind = file_replaceable(out, real, err);
    if (kind < 0)
        return kind;
    if (kind > 0)
        return error_set(err, WEIR_E_INVALID, out, "not a regular file");
    return snprintf(partial, PATH_MAX, "%s.partial", real) < PATH_MAX ? 0 : error_set(err, WEIR_E_INVALID, out, "path too long");
}

int gguf_put(struct gguf_writer *writer, const void *data, size_t n)
{
    if (n > 0 && fwrite(data, 1, n, writer->file) != n)
        return error_set(writer->err, WEIR_E_IO, writer->path, "%s", strerror(errno));
    writer->at += n;
    return 0;
}

int gguf_put_u32(struct gguf_writer *writer, uint32_t value)
{
    return gguf_put(writer, &value, sizeof value);
}

int gguf_put_u64(struct gguf_writer *writer, uint64_t value)
{
    return gguf_put(writer, &value, sizeof value);
}

int gguf_put_str(struct gguf_writer *writer, str s)
{
    int status = gguf_put_u64(writer, s.n);
    return status < 0 ? status : gguf_put(writer, s.data, s.n);
}

int gguf_put_zeros(struct gguf_writer *writer, size_t n)
{
    static const char zeros[64];
    int status = 0;
    for (; n > 0 && status == 0; n -= n < sizeof zeros ? n : sizeof zeros)
        status = gguf_put(writer, zeros, n < sizeof zeros ? n : sizeof zeros);
    return status;
}
