/* Calling codes and national lengths from ITU-T E.164 and the plans of the regions whose national forms are recognised without
 * a country code: North America, United Kingdom, Germany, France, Israel, India, Japan, China, Brazil, Philippines, Turkey. */
#include "scan/phone_plan.h"

#include "scan/text.h"

/* Calling code, shortest and longest national number. */
static const struct {
    const char *code;
    int shortest, longest;
} calling_codes[] = {
    {"1", 10, 10},  {"7", 10, 10},  {"20", 8, 10},  {"27", 9, 9},   {"30", 10, 10}, {"31", 9, 9},   {"32", 8, 9},   {"33", 9, 9},
    {"34", 9, 9},   {"36", 8, 9},   {"39", 6, 11},  {"40", 9, 9},   {"41", 9, 9},   {"43", 7, 13},  {"44", 9, 10},  {"45", 8, 8},
    {"46", 7, 10},  {"47", 8, 8},   {"48", 9, 9},   {"49", 6, 12},  {"51", 8, 9},   {"52", 10, 11}, {"53", 7, 8},   {"54", 10, 11},
    {"55", 10, 11}, {"56", 9, 9},   {"57", 8, 10},  {"58", 10, 10}, {"60", 8, 10},  {"61", 9, 9},   {"62", 8, 12},  {"63", 8, 10},
    {"64", 8, 10},  {"65", 8, 8},   {"66", 8, 9},   {"81", 9, 10},  {"82", 8, 10},  {"84", 9, 10},  {"86", 10, 11}, {"90", 10, 10},
    {"91", 10, 10}, {"92", 9, 10},  {"93", 9, 9},   {"94", 9, 9},   {"95", 8, 10},  {"98", 10, 10}, {"212", 9, 9},  {"213", 8, 9},
    {"216", 8, 8},  {"218", 9, 9},  {"220", 7, 7},  {"221", 9, 9},  {"225", 10, 10}, {"227", 8, 8}, {"233", 9, 9},  {"234", 8, 10},
    {"237", 9, 9},  {"251", 9, 9},  {"254", 9, 9},  {"255", 9, 9},  {"256", 9, 9},  {"260", 9, 9},  {"261", 9, 9},  {"263", 9, 9},
    {"264", 8, 9},  {"350", 8, 8},  {"351", 9, 9},  {"352", 6, 11}, {"353", 7, 9},  {"354", 7, 9},  {"355", 8, 9},  {"356", 8, 8},
    {"357", 8, 8},  {"358", 6, 11}, {"359", 8, 9},  {"370", 8, 8},  {"371", 8, 8},  {"372", 7, 8},  {"373", 8, 8},  {"374", 8, 8},
    {"375", 9, 9},  {"376", 6, 9},  {"377", 8, 9},  {"378", 6, 10}, {"380", 9, 9},  {"381", 8, 9},  {"382", 8, 8},  {"383", 8, 9},
    {"385", 8, 9},  {"386", 8, 8},  {"387", 8, 8},  {"389", 8, 8},  {"420", 9, 9},  {"421", 9, 9},  {"423", 7, 9},  {"501", 7, 7},
    {"502", 8, 8},  {"503", 8, 8},  {"504", 8, 8},  {"505", 8, 8},  {"506", 8, 8},  {"507", 7, 8},  {"591", 8, 8},  {"593", 8, 9},
    {"595", 9, 9},  {"598", 8, 8},  {"852", 8, 8},  {"853", 8, 8},  {"855", 8, 9},  {"856", 8, 10}, {"880", 8, 10}, {"886", 8, 9},
    {"960", 7, 7},  {"961", 7, 8},  {"962", 8, 9},  {"963", 8, 9},  {"964", 8, 10}, {"965", 8, 8},  {"966", 8, 9},  {"967", 7, 9},
    {"968", 8, 8},  {"970", 8, 9},  {"971", 8, 9},  {"972", 8, 9},  {"973", 8, 8},  {"974", 8, 8},  {"975", 7, 8},  {"976", 8, 8},
    {"977", 8, 10}, {"992", 9, 9},  {"993", 8, 8},  {"994", 9, 9},  {"995", 9, 9},  {"996", 9, 9},  {"998", 9, 9},
};

/* North American Numbering Plan: NXX NXX XXXX, N from 2 to 9, no area code N11 or with 9 in the middle. */
static bool is_nanp(str s)
{
    return s.n == 10 && s.data[0] >= '2' && s.data[3] >= '2' && s.data[1] != '9' && !(s.data[1] == '1' && s.data[2] == '1');
}

static bool is_ph_mobile(str national)
{
    return national.n == 10 && national.data[0] == '9';
}

static bool is_tr(str national)
{
    return national.n == 10 && national.data[0] >= '2' && national.data[0] <= '5';
}

static enum phone_plan international_plan(str s)
{
    for (size_t i = 0; i < sizeof calling_codes / sizeof *calling_codes; i++) {
        str code = str_of(calling_codes[i].code);
        if (!str_starts(s, code))
            continue;
        str national = {s.data + code.n, s.n - code.n};
        /* A trunk zero is often written in brackets: +44 (0)20 …; Italian numbers keep theirs. */
        if (national.n > 0 && national.data[0] == '0' && !str_equal(code, STR("39")))
            national = (str){national.data + 1, national.n - 1};
        if (national.n < (size_t)calling_codes[i].shortest || national.n > (size_t)calling_codes[i].longest)
            return PHONE_NONE;
        if (str_equal(code, STR("1")) && !is_nanp(national))
            return PHONE_NONE;
        if (str_equal(code, STR("63")) && is_ph_mobile(national))
            return PHONE_PH_MOBILE;
        if (str_equal(code, STR("90")) && is_tr(national))
            return PHONE_TR;
        return PHONE_ANY;
    }
    return PHONE_NONE;
}

static enum phone_plan national_plan(str s)
{
    if (is_nanp(s))
        return PHONE_ANY;
    if (s.n == 11 && s.data[0] == '1' && (is_nanp((str){s.data + 1, 10}) || (s.data[1] >= '3' && s.data[2] != '4')))
        return PHONE_ANY; /* 1 and a North American number, or a Chinese mobile. */
    if (s.n == 10 && s.data[0] >= '6')
        return PHONE_ANY; /* India. */
    if (s.n < 9 || s.data[0] != '0')
        return PHONE_NONE;
    str national = {s.data + 1, s.n - 1};
    char first = national.data[0], second = national.data[1];
    if (first == '0')
        return PHONE_NONE;
    if (is_ph_mobile(national))
        return PHONE_PH_MOBILE;
    if (is_tr(national))
        return PHONE_TR;
    if (s.n == 9) /* Israel's geographic numbers. */
        return first == '2' || first == '3' || first == '4' || first == '8' || first == '9' ? PHONE_ANY : PHONE_NONE;
    if (s.n == 10 || s.n == 11)
        return second == '0' && first == '0' ? PHONE_NONE : PHONE_ANY;
    return s.n == 12 && first >= '2' ? PHONE_ANY : PHONE_NONE; /* Germany. */
}

enum phone_plan phone_plan_of(str digits, bool international)
{
    if (digits.n < 7 || digits.n > 15)
        return PHONE_NONE;
    if (international)
        return international_plan(digits);
    if (str_starts(digits, STR("00")))
        return international_plan((str){digits.data + 2, digits.n - 2});
    if (str_starts(digits, STR("011")) && digits.n > 11)
        return international_plan((str){digits.data + 3, digits.n - 3});
    enum phone_plan plan = national_plan(digits);
    if (plan != PHONE_NONE)
        return plan;
    static const char *const without_plus[] = {"44", "49", "91", "55", "972", "63", "90"};
    for (size_t i = 0; i < sizeof without_plus / sizeof *without_plus; i++)
        if (digits.n >= 11 && str_starts(digits, str_of(without_plus[i])))
            return international_plan(digits);
    return PHONE_NONE;
}
