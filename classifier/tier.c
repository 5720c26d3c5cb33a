/* Tiers of scoring, by cost. */
#include "weir_classifier.h"

const char *score_tier_name(enum score_tier tier)
{
    switch (tier) {
    case TIER_RULES:
        return "rules";
    case TIER_FEATURES:
        return "features";
    case TIER_STATIC:
        return "static";
    case TIER_ENCODER:
        return "encoder";
    case TIER_PROBE:
        return "probe";
    case TIER_ANSWER:
        return "answer";
    case N_TIERS:
        break;
    }
    return "rules";
}
