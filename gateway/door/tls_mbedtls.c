/* The TLS engine on mbedTLS, over memory buffers. Compiles against the 2.28 and the 3.6 interface.
 *
 * 2.28 prefers P-521 and offers CBC suites, renegotiation and TLS 1.0 where it is not told otherwise, so everything is named
 * here. Random bytes come straight from the operating system: no shared generator, no lock between handshakes. The ticket
 * keys rotate inside mbedTLS and are guarded by its own mutex (MBEDTLS_THREADING_C). */
#include "door/tls.h"

#include <mbedtls/error.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/ssl_ciphersuites.h>
#include <mbedtls/ssl_ticket.h>
#include <mbedtls/version.h>
#include <mbedtls/x509_crt.h>
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
#include <psa/crypto.h>
#endif

enum { TICKET_LIFETIME_S = 3600 };

struct tls_server {
    mbedtls_ssl_config config;
    mbedtls_x509_crt chain;
    mbedtls_pk_context key;
    mbedtls_ssl_ticket_context tickets;
};

struct tls_session {
    mbedtls_ssl_context ssl;
    struct buffer in;
    size_t in_taken; /* Bytes of `in` already read; dropped when all are. */
    struct buffer out;
};

/* ChaCha20-Poly1305 first: without AES instructions in use it is mbedTLS's fastest. The 0x13xx are TLS 1.3's. */
static const int suites[] = {
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    0x1303, 0x1301, 0x1302,
#endif
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0};
#if MBEDTLS_VERSION_NUMBER >= 0x03010000
static const uint16_t groups[] = {MBEDTLS_SSL_IANA_TLS_GROUP_SECP256R1, MBEDTLS_SSL_IANA_TLS_GROUP_X25519,
                                  MBEDTLS_SSL_IANA_TLS_GROUP_NONE};
#else
static const mbedtls_ecp_group_id groups[] = {MBEDTLS_ECP_DP_SECP256R1, MBEDTLS_ECP_DP_CURVE25519, MBEDTLS_ECP_DP_NONE};
#endif
static const char *protocols[] = {"http/1.1", NULL};

static int system_random(void *unused, unsigned char *out, size_t n)
{
    return random_bytes(out, n) == 0 ? 0 : MBEDTLS_ERR_SSL_HW_ACCEL_FAILED;
}

static int fail(struct error *err, const char *path, const char *what, int code)
{
    char reason[128];
    mbedtls_strerror(code, reason, sizeof reason);
    return error_set(err, WEIR_E_INVALID, path, "%s: %s", what, reason);
}

static int load(struct tls_server *server, const char *certificate_path, const char *key_path, struct error *err)
{
    int code = mbedtls_x509_crt_parse_file(&server->chain, certificate_path);
    if (code != 0)
        return code > 0 ? error_set(err, WEIR_E_INVALID, certificate_path, "%d certificates of the chain cannot be read", code)
                        : fail(err, certificate_path, "the certificate cannot be read", code);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    code = mbedtls_pk_parse_keyfile(&server->key, key_path, NULL, system_random, NULL);
#else
    code = mbedtls_pk_parse_keyfile(&server->key, key_path, NULL);
#endif
    if (code != 0)
        return fail(err, key_path, "the private key cannot be read", code);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    code = mbedtls_pk_check_pair(&server->chain.pk, &server->key, system_random, NULL);
#else
    code = mbedtls_pk_check_pair(&server->chain.pk, &server->key);
#endif
    if (code != 0)
        return fail(err, key_path, "does not belong to the certificate", code);
    return 0;
}

static int configure(struct tls_server *server, struct error *err)
{
    int code = mbedtls_ssl_config_defaults(&server->config, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                           MBEDTLS_SSL_PRESET_DEFAULT);
    if (code != 0)
        return fail(err, "tls", "cannot be set up", code);
    mbedtls_ssl_config *config = &server->config;
    mbedtls_ssl_conf_rng(config, system_random, NULL);
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    mbedtls_ssl_conf_min_tls_version(config, MBEDTLS_SSL_VERSION_TLS1_2);
#else
    mbedtls_ssl_conf_min_version(config, MBEDTLS_SSL_MAJOR_VERSION_3, MBEDTLS_SSL_MINOR_VERSION_3);
    mbedtls_ssl_conf_arc4_support(config, MBEDTLS_SSL_ARC4_DISABLED);
#endif
#if MBEDTLS_VERSION_NUMBER >= 0x03010000
    mbedtls_ssl_conf_groups(config, groups);
#else
    mbedtls_ssl_conf_curves(config, groups);
#endif
    mbedtls_ssl_conf_ciphersuites(config, suites);
#if defined(MBEDTLS_SSL_RENEGOTIATION)
    mbedtls_ssl_conf_renegotiation(config, MBEDTLS_SSL_RENEGOTIATION_DISABLED);
    mbedtls_ssl_conf_legacy_renegotiation(config, MBEDTLS_SSL_LEGACY_NO_RENEGOTIATION);
#endif
    mbedtls_ssl_conf_authmode(config, MBEDTLS_SSL_VERIFY_NONE);
    code = mbedtls_ssl_conf_alpn_protocols(config, protocols);
    if (code == 0)
        code = mbedtls_ssl_conf_own_cert(config, &server->chain, &server->key);
    if (code == 0)
        code = mbedtls_ssl_ticket_setup(&server->tickets, system_random, NULL, MBEDTLS_CIPHER_AES_256_GCM, TICKET_LIFETIME_S);
    if (code != 0)
        return fail(err, "tls", "cannot be set up", code);
    mbedtls_ssl_conf_session_tickets_cb(config, mbedtls_ssl_ticket_write, mbedtls_ssl_ticket_parse, &server->tickets);
    return 0;
}

int tls_server_open(struct tls_server **out, const char *certificate_path, const char *key_path, struct error *err)
{
    struct tls_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return error_set(err, WEIR_E_MEMORY, "tls", "out of memory");
#if MBEDTLS_VERSION_NUMBER >= 0x03000000
    psa_crypto_init();
#endif
    mbedtls_ssl_config_init(&server->config);
    mbedtls_x509_crt_init(&server->chain);
    mbedtls_pk_init(&server->key);
    mbedtls_ssl_ticket_init(&server->tickets);
    int status = load(server, certificate_path, key_path, err);
    if (status == 0)
        status = configure(server, err);
    if (status < 0) {
        tls_server_close(server);
        return status;
    }
    *out = server;
    return 0;
}

void tls_server_close(struct tls_server *server)
{
    if (server == NULL)
        return;
    mbedtls_ssl_config_free(&server->config);
    mbedtls_x509_crt_free(&server->chain);
    mbedtls_pk_free(&server->key);
    mbedtls_ssl_ticket_free(&server->tickets);
    free(server);
}

/* ------------------------------------------------------------------ sessions */

static int take_input(void *user, unsigned char *out, size_t n)
{
    struct tls_session *session = user;
    size_t left = session->in.n - session->in_taken;
    if (left == 0)
        return MBEDTLS_ERR_SSL_WANT_READ;
    if (n > left)
        n = left;
    memcpy(out, session->in.data + session->in_taken, n);
    session->in_taken += n;
    if (session->in_taken == session->in.n) {
        buffer_clear(&session->in);
        session->in_taken = 0;
    }
    return (int)n;
}

static int put_output(void *user, const unsigned char *data, size_t n)
{
    struct tls_session *session = user;
    return buffer_append(&session->out, data, n) == 0 ? (int)n : MBEDTLS_ERR_SSL_ALLOC_FAILED;
}

struct tls_session *tls_accept(const struct tls_server *server)
{
    struct tls_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    buffer_init(&session->in, TLS_MAX_INPUT);
    buffer_init(&session->out, TLS_MAX_OUTPUT);
    mbedtls_ssl_init(&session->ssl);
    if (mbedtls_ssl_setup(&session->ssl, &server->config) != 0) {
        tls_session_free(session);
        return NULL;
    }
    mbedtls_ssl_set_bio(&session->ssl, session, put_output, take_input, NULL);
    return session;
}

void tls_session_free(struct tls_session *session)
{
    if (session == NULL)
        return;
    mbedtls_ssl_free(&session->ssl);
    bytes_wipe(session->in.data, session->in.capacity);
    buffer_release(&session->in);
    buffer_release(&session->out);
    free(session);
}

int tls_feed(struct tls_session *session, const void *data, size_t n)
{
    if (session->in_taken > 0) {
        buffer_consume(&session->in, session->in_taken);
        session->in_taken = 0;
    }
    return buffer_append(&session->in, data, n);
}

int tls_handshake(struct tls_session *session)
{
    int code = mbedtls_ssl_handshake(&session->ssl);
    if (code == 0)
        return 1;
    return code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE ? 0 : WEIR_E_INVALID;
}

ptrdiff_t tls_read(struct tls_session *session, void *out, size_t n_out)
{
    int code = mbedtls_ssl_read(&session->ssl, out, n_out);
    if (code > 0)
        return code;
    if (code == MBEDTLS_ERR_SSL_WANT_READ || code == MBEDTLS_ERR_SSL_WANT_WRITE)
        return 0;
    return code == 0 || code == MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY ? WEIR_E_STATE : WEIR_E_INVALID;
}

int tls_write(struct tls_session *session, const void *data, size_t n)
{
    const unsigned char *at = data;
    while (n > 0) {
        int code = mbedtls_ssl_write(&session->ssl, at, n);
        if (code <= 0)
            return WEIR_E_IO;
        at += code;
        n -= (size_t)code;
    }
    return 0;
}

void tls_close(struct tls_session *session)
{
    (void)mbedtls_ssl_close_notify(&session->ssl);
}

struct buffer *tls_output_peek(struct tls_session *session)
{
    return &session->out;
}

void tls_info(const struct tls_session *session, char *out, size_t n_out)
{
    snprintf(out, n_out, "%s %s", mbedtls_ssl_get_version(&session->ssl), mbedtls_ssl_get_ciphersuite(&session->ssl));
}
