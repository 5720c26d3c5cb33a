/* Which law a region's name stands for. A name that is not listed is unknown, and no residency rule permits it: "eu-west-2" is
 * London and "europe-west6" is Zürich, so nothing is guessed from a name's beginning. */
#include "pack/region.h"

static const struct {
    const char *law;
    bool eu;
    const char *regions; /* Separated by blanks. */
} laws[] = {
    {"EEA", true,
     "eu at be bg hr cy cz dk ee fi fr de gr hu ie it lv lt lu mt nl pl pt ro sk si es se "
     "eu-central-1 eu-west-1 eu-west-3 eu-north-1 eu-south-1 eu-south-2 eusc-de-east-1 "
     "europe-central2 europe-north1 europe-north2 europe-southwest1 europe-west1 europe-west3 europe-west4 europe-west8 europe-west9 "
     "europe-west10 europe-west12 "
     "northeurope westeurope germanywestcentral germanynorth francecentral francesouth italynorth spaincentral polandcentral "
     "swedencentral swedensouth austriaeast denmarkeast belgiumcentral finlandcentral greececentral "
     "eu-de-1 eu-frankfurt-1 eu-amsterdam-1 eu-paris-1 eu-madrid-1 eu-milan-1 eu-stockholm-1 eu-de eu-es"},
    {"EEA", false, "eea is li no norwayeast norwaywest"},
    {"UK", false, "uk gb eu-west-2 europe-west2 uksouth ukwest uk-london-1 eu-gb"},
    {"CH", false, "ch eu-central-2 europe-west6 switzerlandnorth switzerlandwest eu-zurich-1"},
    {"US", false,
     "us us-east-1 us-east-2 us-west-1 us-west-2 us-gov-east-1 us-gov-west-1 us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 "
     "us-west2 us-west3 us-west4 eastus eastus2 westus westus2 westus3 centralus northcentralus southcentralus westcentralus "
     "us-ashburn-1 us-phoenix-1 us-chicago-1 us-south us-east"},
    {"CA", false, "ca ca-central-1 ca-west-1 northamerica-northeast1 northamerica-northeast2 canadacentral canadaeast ca-toronto-1"},
    {"JP", false, "jp ap-northeast-1 ap-northeast-3 asia-northeast1 asia-northeast2 japaneast japanwest"},
    {"KR", false, "kr ap-northeast-2 asia-northeast3 koreacentral koreasouth"},
    {"IN", false, "in ap-south-1 ap-south-2 asia-south1 asia-south2 centralindia southindia westindia"},
    {"SG", false, "sg ap-southeast-1 asia-southeast1 southeastasia"},
    {"AU", false, "au ap-southeast-2 ap-southeast-4 australia-southeast1 australia-southeast2 australiaeast australiasoutheast"},
    {"NZ", false, "nz newzealandnorth ap-southeast-6"},
    {"BR", false, "br sa-east-1 southamerica-east1 brazilsouth"},
    {"CN", false, "cn cn-north-1 cn-northwest-1 chinaeast2 chinanorth3"},
    {"HK", false, "hk ap-east-1 asia-east2 eastasia"},
    {"IL", false, "il il-central-1 me-west1 israelcentral"},
    {"AE", false, "ae me-central-1 uaenorth"},
    {"ZA", false, "za af-south-1 africa-south1 southafricanorth"},
};

static bool listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = list; *at != '\0';) {
        size_t length = strcspn(at, " ");
        if (length == n && str_equal_nocase((str){at, length}, (str){word, n}))
            return true;
        at += length + (at[length] == ' ');
    }
    return false;
}

const char *region_law(const char *region)
{
    for (size_t i = 0; region != NULL && i < sizeof laws / sizeof *laws; i++)
        if (listed(laws[i].regions, region))
            return laws[i].law;
    return NULL;
}

bool region_within(const char *region, const char *wanted)
{
    const char *law = region_law(region);
    if (law == NULL)
        return false;
    str name = str_of(wanted);
    if (str_equal_nocase(str_of(region), name) || str_equal_nocase(str_of(law), name))
        return true;
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
        if (laws[i].eu && listed(laws[i].regions, region))
            return str_equal_nocase(name, STR("eu"));
    return false;
}

bool region_is_known(const char *region)
{
    return region_law(region) != NULL;
}

bool law_is_known(const char *law)
{
    for (size_t i = 0; i < sizeof laws / sizeof *laws; i++)
        if (str_equal_nocase(str_of(law), str_of(laws[i].law)))
            return true;
    return false;
}
