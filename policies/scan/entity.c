/* The list of everything Weir's detectors can find, and globs over it. */
#include "scan/credentials.h"
#include "scan/numbers.h"
#include "scan/scan.h"
#include "scan/secrets.h"

static const struct entity *const core[] = {&entity_email, &entity_url, &entity_ip, &entity_card, &entity_iban};
enum { N_CORE = sizeof core / sizeof *core, N_PHONE = 3 };

const struct entity *entity_at(size_t index)
{
    if (index < N_CORE)
        return core[index];
    index -= N_CORE;
    if (index < N_PHONE)
        return phone_entity(index);
    index -= N_PHONE;
    if (index < number_entity_count())
        return number_entity(index);
    index -= number_entity_count();
    if (index < secret_entity_count())
        return secret_entity(index);
    index -= secret_entity_count();
    return index < credential_entity_count() ? credential_entity(index) : NULL;
}

ptrdiff_t entity_index(const struct entity *entity)
{
    for (size_t i = 0; i < N_CORE; i++)
        if (core[i] == entity)
            return (ptrdiff_t)i;
    size_t base = N_CORE;
    for (size_t i = 0; i < N_PHONE; i++)
        if (phone_entity(i) == entity)
            return (ptrdiff_t)(base + i);
    base += N_PHONE;
    ptrdiff_t number = number_entity_index(entity);
    if (number >= 0)
        return (ptrdiff_t)base + number;
    base += number_entity_count();
    ptrdiff_t secret = secret_entity_index(entity);
    if (secret >= 0)
        return (ptrdiff_t)base + secret;
    base += secret_entity_count();
    ptrdiff_t credential = credential_entity_index(entity);
    return credential >= 0 ? (ptrdiff_t)base + credential : -1;
}

const struct entity *entity_find(str type)
{
    const struct entity *entity;
    for (size_t i = 0; (entity = entity_at(i)) != NULL; i++)
        if (str_equal(type, str_of(entity->type)))
            return entity;
    return NULL;
}

static bool glob_matches(const char *text, const char *glob)
{
    const char *star = NULL, *resume = NULL;
    while (*text != '\0') {
        if (*glob == '*') {
            star = glob++;
            resume = text;
        } else if (*glob == *text) {
            glob++;
            text++;
        } else if (star != NULL) {
            glob = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*glob == '*')
        glob++;
    return *glob == '\0';
}

bool entity_matches(const char *type, const char *detector, const char *glob)
{
    const char *slash = strchr(glob, '/');
    if (slash == NULL)
        return glob_matches(type, glob);
    size_t n = (size_t)(slash - glob);
    return detector != NULL && strlen(detector) == n && memcmp(detector, glob, n) == 0 && glob_matches(type, slash + 1);
}
