/* A picture as PNG: drawn from the SVG by rsvg-convert (Debian: librsvg2-bin), found on PATH, so that no image library and no font is linked
 * into the gateway for the sake of an evaluation. */
#ifndef WEIR_CLASSIFIER_PICTURE_PNG_H
#define WEIR_CLASSIFIER_PICTURE_PNG_H

#include "weir_base.h"

/* Appends the drawn picture, two pixels for each unit of the SVG. WEIR_E_NOT_FOUND: there is no such program here; WEIR_E_IO: it failed. */
int picture_png(str svg, struct buffer *out, struct error *err) WEIR_CHECKED;

#endif
