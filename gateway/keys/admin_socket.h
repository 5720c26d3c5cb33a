/* Admin socket: `weir keys` and the like speak to the running daemon over a unix socket (weir.sock, mode 0600) in the data
 * folder: one JSON object a line in, one out. The daemon's end lives on its loop; the client's end blocks. */
#ifndef WEIR_KEYS_ADMIN_SOCKET_H
#define WEIR_KEYS_ADMIN_SOCKET_H

#include "keys/keys.h"

#include <sys/un.h>
#include <uv.h>

struct admin_socket;
/* Answers what is not about keys, on the loop; NULL: neither is it this one's. New reference. */
typedef json_t *admin_more_fn(void *user, const json_t *question);
/* more may be NULL. Listens. A stale socket file of a dead process is replaced. Loop thread. */
int admin_socket_start(struct admin_socket **out, uv_loop_t *loop, const char *data_dir, struct keys *keys, admin_more_fn *more, void *more_user,
                       struct error *err) WEIR_CHECKED;
/* Closes its handles; closed(user) is called once they are gone and the memory is freed. closed may be NULL. */
void admin_socket_stop(struct admin_socket *admin, void (*closed)(void *user), void *user);

/* Where the socket of a data folder lies: out gets at most ADMIN_SOCKET_PATH bytes, what a socket's address has room for. */
enum { ADMIN_SOCKET_PATH = sizeof ((struct sockaddr_un *)0)->sun_path };
int admin_socket_path(const char *data_dir, char *out, struct error *err) WEIR_CHECKED;
/* Asks the running daemon. *answer is a new reference. WEIR_E_NOT_FOUND: none runs in this data folder; another status with
 * the daemon's own message when it refuses. */
int admin_call(const char *data_dir, const json_t *question, json_t **answer, struct error *err) WEIR_CHECKED;
/* Answers one question: shared by the daemon and by a process that opened the ledger itself. New reference. */
json_t *admin_answer(struct keys *keys, const json_t *question);

#endif
