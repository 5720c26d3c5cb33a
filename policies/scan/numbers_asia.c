/* Asia, Oceania and Africa. */
#include "scan/number_forms.h"

static bool all_same(str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.data[i] != s.data[0])
            return false;
    return true;
}

static bool is_palindrome(str s)
{
    for (size_t i = 0; i < s.n / 2; i++)
        if (s.data[i] != s.data[s.n - 1 - i])
            return false;
    return true;
}

static enum verdict_of_check check_aadhaar(str s, str raw)
{
    return pass_or_fail(s.n == 12 && s.data[0] >= '2' && !is_palindrome(s) && checksum_verhoeff(s));
}

static enum verdict_of_check check_tfn(str s, str raw)
{
    static const int weights[] = {1, 4, 3, 7, 5, 8, 6, 9, 10};
    return pass_or_fail(s.n == 9 && !all_same(s) && weighted_sum(s, weights, 9) % 11 == 0);
}

static enum verdict_of_check check_abn(str s, str raw)
{
    static const int weights[] = {10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19};
    return pass_or_fail(s.n == 11 && s.data[0] != '0' && (weighted_sum(s, weights, 11) - 10) % 89 == 0);
}

static enum verdict_of_check check_acn(str s, str raw)
{
    static const int weights[] = {8, 7, 6, 5, 4, 3, 2, 1};
    return pass_or_fail(s.n == 9 && (10 - weighted_sum(s, weights, 8) % 10) % 10 == s.data[8] - '0');
}

static enum verdict_of_check check_medicare(str s, str raw)
{
    static const int weights[] = {1, 3, 7, 9, 1, 3, 7, 9};
    return pass_or_fail(s.n == 10 && weighted_sum(s, weights, 8) % 10 == s.data[8] - '0');
}

/* Letter from the weighted digits; the series decides the table (M's is of 2022). Series that are not issued keep their form's score. */
static enum verdict_of_check check_nric(str s, str raw)
{
    static const int weights[] = {2, 7, 6, 5, 4, 3, 2};
    int sum = (int)weighted_sum((str){s.data + 1, 7}, weights, 7) % 11;
    char series = s.data[0];
    const char *letters = series == 'S' || series == 'T' ? "JZIHGFEDCBA" : series == 'M' ? "XWUTRQPNJLK" : "XWUTRQPNMLK";
    int offset = series == 'T' || series == 'G' ? 4 : series == 'M' ? 3 : 0;
    if (strchr("STFGM", series) == NULL)
        return CHECK_UNKNOWN;
    return letters[(sum + offset) % 11] == s.data[8] ? CHECK_PASS : CHECK_UNKNOWN;
}

/* Resident and foreigner registration numbers issued before October 2020 carry a check digit; later ones do not. */
static enum verdict_of_check check_rrn(str s, str raw)
{
    static const int weights[] = {2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5};
    int64_t sum = weighted_sum(s, weights, 12);
    int check = s.data[6] >= '5' && s.data[6] <= '8' ? (int)((13 - sum % 11) % 10) : (int)((11 - sum % 11) % 10);
    return s.n == 13 && check == s.data[12] - '0' ? CHECK_PASS : CHECK_UNKNOWN;
}

static enum verdict_of_check check_kr_brn(str s, str raw)
{
    static const int weights[] = {1, 3, 7, 1, 3, 7, 1, 3, 5};
    int64_t sum = weighted_sum(s, weights, 9) + (s.data[8] - '0') * 5 / 10;
    return pass_or_fail((10 - sum % 10) % 10 == s.data[9] - '0');
}

static enum verdict_of_check check_th(str s, str raw)
{
    static const int weights[] = {13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2};
    return pass_or_fail((11 - weighted_sum(s, weights, 12) % 11) % 10 == s.data[12] - '0');
}

static enum verdict_of_check check_tckn(str s, str raw)
{
    static const int odd_even[] = {7, -1, 7, -1, 7, -1, 7, -1, 7}, ones[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    int64_t tenth = weighted_sum(s, odd_even, 9) % 10;
    return pass_or_fail((tenth + 10) % 10 == s.data[9] - '0' && weighted_sum(s, ones, 10) % 10 == s.data[10] - '0');
}

static enum verdict_of_check check_za(str s, str raw)
{
    int month = (s.data[2] - '0') * 10 + s.data[3] - '0', day = (s.data[4] - '0') * 10 + s.data[5] - '0';
    static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return pass_or_fail(month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] && s.data[10] <= '2' && checksum_luhn(s));
}

static enum verdict_of_check check_nin(str s, str raw)
{
    return pass_or_fail(s.n == 11 && checksum_verhoeff(s));
}

/* Luhn's rule modulo 36. A number that fails keeps the form's score: specimen numbers are common in documents. */
static enum verdict_of_check check_gstin(str s, str raw)
{
    if (s.n != 15 || s.data[0] > '3' || memcmp(s.data, "00", 2) == 0)
        return CHECK_FAIL;
    int sum = 0;
    for (size_t i = 0; i < 14; i++) {
        int product = (is_digit(s.data[i]) ? s.data[i] - '0' : s.data[i] - 'A' + 10) * (i % 2 == 0 ? 1 : 2);
        sum += product / 36 + product % 36;
    }
    return s.data[14] == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"[(36 - sum % 36) % 36] ? CHECK_PASS : CHECK_UNKNOWN;
}

static struct number table[] = {
    {{"IN_AADHAAR", "in_aadhaar", "aadhaar|uidai"}, check_aadhaar, N(0), N(4) | N(12), 12, false, {FORM("\\d{4}([- :]?)\\d{4}\\1\\d{4}\\b", 0.01f)}},
    {{"IN_PAN", "in_pan", "permanent|pan"}, NULL, N(1) | N(5), FROM_TO(0, 8), 4, false,
     {FORM("[a-z]{3}[abcfghljpt][a-z]\\d{4}[a-z]\\b", 0.5f), FORM("[a-z]{5}\\d{4}[a-z]\\b", 0.1f),
      FORM("(?=[a-z]*\\d)(?=[a-z0-9]{10}\\b)[a-z](?:[a-z]*\\d){4}[a-z]+\\b", 0.01f)}},
    {{"IN_GSTIN", "in_gstin", "gstin|gst|goods"}, check_gstin, N(0), N(2), 6, false, {FORM("\\d{2}[a-z]{5}\\d{4}[a-z][1-9a-z]z[0-9a-z]\\b", 0.4f)}, .min_run = 15},
    {{"IN_PASSPORT", "in_passport", "passport|travel|visa"}, NULL, N(1), N(7), 7, false, {FORM("[a-z][1-9]\\d{2} ?\\d{3}[1-9]\\b", 0.1f)}},
    {{"IN_VOTER", "in_voter", "voter|epic|elector|vote"}, NULL, N(3), N(7), 7, false, {FORM("[a-z]{3}\\d{7}\\b", 0.4f)}},
    {{"IN_VEHICLE_REGISTRATION", "in_vehicle", "registration|vehicle|rto|plate|number"}, NULL, N(2), N(1) | N(2), 5, false,
     {FORM("(?:an|ap|ar|as|br|cg|ch|dd|dl|dn|ga|gj|hp|hr|jh|jk|ka|kl|la|ld|mh|ml|mn|mp|mz|nl|od|or|pb|py|rj|sk|tn|tr|ts|uk|up|wb)\\d{1,2}[a-z]{1,3}\\d{4}\\b", 0.5f)}},
    {{"AU_TFN", "au_tfn", "tax|file|tfn"}, check_tfn, N(0), N(3) | N(9), 9, false, {FORM("\\d{3}( ?)\\d{3}\\1\\d{3}\\b", 0.1f)}},
    {{"AU_ABN", "au_abn", "australian|business|abn"}, check_abn, N(0), N(2) | N(11), 11, false, {FORM("\\d{2}( ?)\\d{3}\\1\\d{3}\\1\\d{3}\\b", 0.1f)}},
    {{"AU_ACN", "au_acn", "australian|company|acn"}, check_acn, N(0), N(3) | N(9), 9, false, {FORM("\\d{3}( ?)\\d{3}\\1\\d{3}\\b", 0.1f)}},
    {{"AU_MEDICARE", "au_medicare", "medicare"}, check_medicare, N(0), N(4) | N(10), 10, false, {FORM("[2-6]\\d{3}( ?)\\d{5}\\1\\d\\b", 0.1f)}},
    {{"SG_NRIC_FIN", "sg_nric", "fin|nric"}, check_nric, N(1), N(7), 7, false, {FORM("[stfgm]\\d{7}[a-z]\\b", 0.5f), FORM("[a-z]\\d{7}[a-z]\\b", 0.3f)}},
    {{"KR_RRN", "kr_rrn", "rrn|resident|korean"}, check_rrn, N(0), N(6) | N(13), 13, true,
     {FORM("\\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])-?[1-4]\\d{6}(?!\\d)", 0.5f)}},
    {{"KR_FRN", "kr_frn", "frn|foreigner|korean"}, check_rrn, N(0), N(6) | N(13), 13, true,
     {FORM("\\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\\d|3[01])-?[5-8]\\d{6}(?!\\d)", 0.5f)}},
    {{"KR_BRN", "kr_brn", "brn|business|korean"}, check_kr_brn, N(0), N(3) | N(10), 10, true, {FORM("\\d{3}(-?)\\d{2}\\1\\d{5}(?![\\d-])", 0.1f)}},
    {{"KR_DRIVER_LICENSE", "kr_driver_license", "driver|license|korean"}, NULL, N(0), N(2) | N(12), 12, true,
     {FORM("(?:1[1-9]|2[0-68])([- ]?)\\d{2}\\1\\d{6}\\1\\d{2}(?![\\d-])", 0.3f)}},
    {{"KR_PASSPORT", "kr_passport", "passport|korean"}, NULL, N(1), N(3) | N(8), 7, false,
     {FORM("[msrod]\\d{3}[a-z]\\d{4}(?![0-9a-z])", 0.1f), FORM("[msrodg]\\d{8}(?![0-9a-z])", 0.05f)}},
    {{"TH_TNIN", "th_tnin", "thai|tnin|citizen"}, check_th, N(0), N(13), 13, false, {FORM("[1-9]\\d{12}\\b", 0.5f)}},
    {{"TR_NATIONAL_ID", "tr_national_id", "kimlik|tckn|tc"}, check_tckn, N(0), N(11), 11, false, {FORM("[1-9]\\d{10}\\b", 0.3f)}},
    {{"TR_LICENSE_PLATE", "tr_plate", "plaka|plate|ara"}, NULL, N(0), N(2), 4, false,
     {FORM("(?:0[1-9]|[1-7]\\d|8[01])( ?)(?:[a-z]\\1\\d{4,5}|[a-z]{1,2}\\1\\d{2,4}|[a-z]{3}\\1\\d{2,4})\\b", 0.5f)}},
    {{"ZA_ID_NUMBER", "za_id", "south|african|rsa|identity"}, check_za, N(0), N(13), 13, false, {FORM("\\d{13}\\b", 0.2f)}},
    {{"NG_NIN", "ng_nin", "nin|nigeria|nimc"}, check_nin, N(0), N(11), 11, false, {FORM("\\d{11}\\b", 0.1f)}},
    {{"NG_VEHICLE_REGISTRATION", "ng_vehicle", "plate|vehicle|registration"}, NULL, N(3), N(0) | N(3), 3, false, {FORM("[a-z]{3}[- ]?\\d{3}[a-z]{2}\\b", 0.5f)}},
    {{"PH_TIN", "ph_tin", "tin|bir|taxpayer"}, NULL, N(0), N(3) | N(9) | N(12), 9, false,
     {FORM("0\\d{2}-\\d{3}-\\d{3}(?:-\\d{3})?\\b(?!-)", 0.05f), FORM("0\\d{8}(?:\\d{3})?\\b", 0.01f)}},
};

TABLE(numbers_asia, table);
