/* Classes of bytes in HTTP (RFC 9110 section 5.6.2 and 5.5). */
#ifndef WEIR_DOOR_HTTP_BYTES_H
#define WEIR_DOOR_HTTP_BYTES_H

#include "weir_base.h"

/* tchar: letters, digits and !#$%&'*+-.^_`|~ */
static inline bool http_is_token_byte(unsigned char c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

/* What a field value may hold: visible bytes, blanks, tabs and obs-text; no control byte. */
static inline bool http_is_field_byte(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7F);
}

#endif
