/* A model from a URL: libcurl's easy interface into path.part, carried on where an earlier try stopped, a digest, a rename.
 *
 * Invariant: path only ever holds a whole file, with its digest checked where one is given. https (http to loopback only),
 * certificate and host verified; redirects are followed within https, as file hosts need them. This is the command line's
 * own connection, made at the user's word and never by the daemon. */
#include "pull/pull.h"

#include <curl/curl.h>
#include <errno.h>
#include <unistd.h>

struct transfer {
    FILE *file;
    bool terminal;
    int64_t begun_bytes; /* Had from an earlier try. */
    int64_t last_us;
    bool disk_failed;
};

static size_t on_data(char *data, size_t size, size_t n, void *user)
{
    struct transfer *transfer = user;
    size_t written = fwrite(data, size, n, transfer->file);
    transfer->disk_failed = written != n;
    return written * size;
}

static int on_progress(void *user, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up_now)
{
    struct transfer *transfer = user;
    int64_t us = clock_now_us();
    if (!transfer->terminal || total <= 0 || (us - transfer->last_us < 100000 && now < total))
        return 0;
    transfer->last_us = us;
    double whole = (double)(total + transfer->begun_bytes), done = (double)(now + transfer->begun_bytes);
    int filled = (int)(done / whole * 40);
    char bar[41];
    memset(bar, '.', 40);
    memset(bar, '#', (size_t)(filled < 0 ? 0 : filled > 40 ? 40 : filled));
    bar[40] = '\0';
    fprintf(stderr, "\r[%s] %5.1f%% of %.1f MB%s", bar, done / whole * 100, whole / 1e6, now >= total ? "\n" : "");
    return 0;
}

static int transfer_run(CURL *easy, struct transfer *transfer, const char *url, const char *part, struct error *err)
{
    bool loopback = str_starts(str_of(url), STR("http://127.0.0.1:")) || str_starts(str_of(url), STR("http://localhost:")) || str_starts(str_of(url), STR("http://[::1]:"));
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, loopback ? "http,https" : "https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, 5L);
    curl_easy_setopt(easy, CURLOPT_FAILONERROR, 1L);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, 20000L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, 60L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "weir/" WEIR_VERSION);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, transfer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_RESUME_FROM_LARGE, (curl_off_t)transfer->begun_bytes);
    CURLcode code = curl_easy_perform(easy);
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (code == CURLE_OK)
        return 0;
    if (transfer->disk_failed)
        return error_set(err, WEIR_E_IO, part, "%s", strerror(errno));
    if (code == CURLE_HTTP_RETURNED_ERROR && status == 416 && transfer->begun_bytes > 0)
        return 0; /* Nothing is left to fetch: the digest decides. */
    if (code == CURLE_RANGE_ERROR)
        return error_set(err, WEIR_E_UNSUPPORTED, url, "the server cannot carry on; remove %s and try again", part);
    if (code == CURLE_HTTP_RETURNED_ERROR)
        return error_set(err, WEIR_E_NOT_FOUND, url, "the server answers %ld", status);
    return error_set(err, WEIR_E_IO, url, "%s; the part that came is kept, run the command again to carry on", curl_easy_strerror(code));
}

int pull_url(const char *url, const char *path, const char *sha256, char digest[2 * SHA256_BYTES + 1], struct error *err)
{
    char part[4200];
    int n = snprintf(part, sizeof part, "%s.part", path);
    if (n < 0 || (size_t)n >= sizeof part)
        return error_set(err, WEIR_E_LIMIT, "path", "is too long");
    struct transfer transfer = {.terminal = isatty(STDERR_FILENO)};
    transfer.file = fopen(part, "abe");
    if (transfer.file == NULL)
        return error_set(err, WEIR_E_IO, part, "%s", strerror(errno));
    fseeko(transfer.file, 0, SEEK_END);
    transfer.begun_bytes = ftello(transfer.file);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    CURL *easy = curl_easy_init();
    int status = easy != NULL ? transfer_run(easy, &transfer, url, part, err) : error_set(err, WEIR_E_MEMORY, url, "out of memory");
    curl_easy_cleanup(easy);
    if ((fflush(transfer.file) != 0 || fsync(fileno(transfer.file)) != 0) && status == 0)
        status = error_set(err, WEIR_E_IO, part, "%s", strerror(errno));
    fclose(transfer.file);
    uint8_t bytes[SHA256_BYTES];
    if (status == 0)
        status = sha256_file(part, bytes, err);
    if (status < 0)
        return status;
    hex_encode(bytes, sizeof bytes, digest);
    if (sha256 != NULL && strcasecmp(sha256, digest) != 0) {
        unlink(part);
        return error_set(err, WEIR_E_INVALID, url, "its SHA-256 is %s where %s was given: removed", digest, sha256);
    }
    if (rename(part, path) != 0)
        return error_set(err, WEIR_E_IO, path, "%s", strerror(errno));
    return 0;
}
