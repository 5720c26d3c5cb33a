/* Regions by the names people give them, and whose law holds there. */
#ifndef WEIR_POLICIES_PACK_REGION_H
#define WEIR_POLICIES_PACK_REGION_H

#include "weir_base.h"

/* The law of a region: "EEA", "US", "UK", … or NULL when the name is not known. Known are ISO 3166 codes, "eu", "eea", and the
 * region names of the large clouds ("eu-central-1", "europe-west4", "germanywestcentral"). Letters' case does not matter. */
const char *region_law(const char *region);
/* Whether region lies within wanted, which is a region, "EU", "EEA", or a law's name. Unknown regions lie in nothing. */
bool region_within(const char *region, const char *wanted);
bool region_is_known(const char *region);
bool law_is_known(const char *law);

#endif
