/* Effects: the chain allow < redact < local_only < refuse. */
#include "weir_policies.h"

const char *effect_name(enum effect effect)
{
    switch (effect) {
    case EFFECT_ALLOW:
        return "allow";
    case EFFECT_REDACT:
        return "redact";
    case EFFECT_LOCAL_ONLY:
        return "local_only";
    case EFFECT_REFUSE:
        return "refuse";
    }
    return "refuse";
}
