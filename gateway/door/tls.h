/* TLS for listeners: one small engine interface over memory, so that the engine can be exchanged. It never touches a socket:
 * the connection feeds it ciphertext and sends what it puts out.
 *
 * A struct tls_server is immutable once opened and shared by all its sessions, on any thread. A struct tls_session belongs
 * to one thread at a time: the loop, or for a handshake step the worker that was given it. */
#ifndef WEIR_DOOR_TLS_H
#define WEIR_DOOR_TLS_H

#include "weir_base.h"

enum { TLS_MAX_INPUT = 1 << 18, TLS_MAX_OUTPUT = 1 << 27 };

struct tls_server;
struct tls_session;

/* Loads the certificate chain and its key (PEM files), checks that they belong together. TLS 1.2 at least, ephemeral ECDH with
 * authenticated ciphers only, P-256 and X25519, no renegotiation, session tickets with rotating keys, ALPN http/1.1. */
int tls_server_open(struct tls_server **out, const char *certificate_path, const char *key_path, struct error *err) WEIR_CHECKED;
void tls_server_close(struct tls_server *server); /* NULL is fine. No session may be left. */

/* A session in front of its handshake. NULL when memory runs out. */
struct tls_session *tls_accept(const struct tls_server *server);
void tls_session_free(struct tls_session *session);
/* Ciphertext from the peer; kept until it is used. WEIR_E_LIMIT past TLS_MAX_INPUT. */
int tls_feed(struct tls_session *session, const void *data, size_t n) WEIR_CHECKED;
/* One step of the handshake, up to 10 ms of computing. 1: done, 0: needs more from the peer, WEIR_E_INVALID: failed. */
int tls_handshake(struct tls_session *session) WEIR_CHECKED;
/* Plaintext. Returns its length, 0 when more is needed, WEIR_E_STATE after the peer's close_notify, WEIR_E_INVALID. */
ptrdiff_t tls_read(struct tls_session *session, void *out, size_t n_out) WEIR_CHECKED;
int tls_write(struct tls_session *session, const void *data, size_t n) WEIR_CHECKED;
void tls_close(struct tls_session *session); /* Puts a close_notify into the output. */
/* Ciphertext to send. The caller consumes it. */
struct buffer *tls_output_peek(struct tls_session *session);
/* "TLSv1.2 TLS-ECDHE-…" after the handshake. */
void tls_info(const struct tls_session *session, char *out, size_t n_out);

#endif
