/* European identity, tax, health and travel numbers. */
#include "scan/number_forms.h"

static bool all_same(str s)
{
    for (size_t i = 1; i < s.n; i++)
        if (s.data[i] != s.data[0])
            return false;
    return true;
}

static enum verdict_of_check check_nhs(str s, str raw)
{
    static const int weights[] = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
    return pass_or_fail(s.n == 10 && weighted_sum(s, weights, 10) % 11 == 0 && !all_same(s));
}

/* Spanish control letter of a number modulo 23. */
static enum verdict_of_check check_nif(str s, str raw)
{
    long value = 0;
    for (size_t i = 0; i + 1 < s.n; i++) {
        char c = s.data[i];
        if (i == 0 && c >= 'X' && c <= 'Z')
            c = (char)('0' + (c - 'X'));
        if (!is_digit(c))
            return CHECK_FAIL;
        value = value * 10 + (c - '0');
    }
    return pass_or_fail(s.n >= 8 && s.data[s.n - 1] == "TRWAGMYFPDXBNJZSQVHLCKE"[value % 23]);
}

static enum verdict_of_check check_pesel(str s, str raw)
{
    static const int weights[] = {1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1};
    return pass_or_fail(s.n == 11 && weighted_sum(s, weights, 11) % 10 == 0);
}

/* At most one digit of the first ten comes two or three times, never three in a row; ISO 7064 MOD 11,10. */
static enum verdict_of_check check_de_tax_id(str s, str raw)
{
    int counts[10] = {0};
    if (s.n != 11 || !checksum_mod_11_10(s))
        return CHECK_FAIL;
    for (size_t i = 0; i < 10; i++)
        if (++counts[s.data[i] - '0'] > 3)
            return CHECK_FAIL;
    return CHECK_PASS;
}

static enum verdict_of_check check_it_vat(str s, str raw)
{
    return pass_or_fail(s.n == 11 && checksum_luhn(s) && !all_same(s));
}

static enum verdict_of_check check_codice_fiscale(str s, str raw)
{
    static const int odd[] = {1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23};
    int sum = 0;
    if (s.n != 16)
        return CHECK_FAIL;
    for (size_t i = 0; i < 15; i++) {
        int value = is_digit(s.data[i]) ? s.data[i] - '0' : s.data[i] - 'A';
        sum += i % 2 == 0 ? odd[value] : value;
    }
    return s.data[15] == 'A' + sum % 26 ? CHECK_PASS : CHECK_UNKNOWN;
}

/* Ordinal of the control character from the date and the individual number, modulo 31. */
static enum verdict_of_check check_hetu(str s, str raw)
{
    char digits[10];
    if (raw.n != 11)
        return CHECK_FAIL;
    memcpy(digits, raw.data, 6);
    memcpy(digits + 6, raw.data + 7, 3);
    long value = 0;
    for (int i = 0; i < 9; i++)
        value = value * 10 + (digits[i] - '0');
    int day = (digits[0] - '0') * 10 + digits[1] - '0', month = (digits[2] - '0') * 10 + digits[3] - '0';
    bool dated = day >= 1 && day <= 31 && month >= 1 && month <= 12 && value % 1000 >= 2;
    return pass_or_fail(dated && to_upper(raw.data[10]) == "0123456789ABCDEFHJKLMNPRSTUVWXY"[value % 31]);
}

/* ICAO 9303: weights 7, 3, 1, letters from 10. */
static bool icao_is_sound(str s)
{
    static const int weights[] = {7, 3, 1};
    int sum = 0;
    for (size_t i = 0; i + 1 < s.n; i++)
        sum += weights[i % 3] * (is_digit(s.data[i]) ? s.data[i] - '0' : s.data[i] - 'A' + 10);
    return is_digit(s.data[s.n - 1]) && sum % 10 == s.data[s.n - 1] - '0';
}

static enum verdict_of_check check_de_id_card(str s, str raw)
{
    return s.data[0] == 'T' && digits_only((str){s.data + 1, s.n - 1}) ? (icao_is_sound(s) ? CHECK_PASS : CHECK_UNKNOWN)
                                                                       : pass_or_fail(icao_is_sound(s));
}

static enum verdict_of_check check_icao(str s, str raw)
{
    return pass_or_fail(icao_is_sound(s));
}

/* Sum of the products' cross sums over the digits with the letter as two digits. */
static int cross_sum(const char *digits, const int *weights, size_t n)
{
    int sum = 0;
    for (size_t i = 0; i < n; i++) {
        int product = (digits[i] - '0') * weights[i];
        sum += product / 10 + product % 10;
    }
    return sum;
}

static enum verdict_of_check check_kvnr(str s, str raw)
{
    static const int weights[] = {1, 2, 1, 2, 1, 2, 1, 2, 1, 2};
    char digits[10];
    digits[0] = (char)('0' + (s.data[0] - 'A' + 1) / 10);
    digits[1] = (char)('0' + (s.data[0] - 'A' + 1) % 10);
    memcpy(digits + 2, s.data + 1, 8);
    return pass_or_fail(cross_sum(digits, weights, 10) % 10 == s.data[9] - '0');
}

static enum verdict_of_check check_rvnr(str s, str raw)
{
    static const int weights[] = {2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1};
    char digits[12];
    memcpy(digits, s.data, 8);
    digits[8] = (char)('0' + (s.data[8] - 'A' + 1) / 10);
    digits[9] = (char)('0' + (s.data[8] - 'A' + 1) % 10);
    memcpy(digits + 10, s.data + 9, 2);
    return pass_or_fail(cross_sum(digits, weights, 12) % 10 == s.data[11] - '0');
}

static enum verdict_of_check check_lanr(str s, str raw)
{
    static const int weights[] = {4, 9, 4, 9, 4, 9};
    return pass_or_fail((10 - weighted_sum(s, weights, 6) % 10) % 10 == s.data[6] - '0');
}

static enum verdict_of_check check_se_pnr(str s, str raw)
{
    str ten = s.n == 12 ? (str){s.data + 2, 10} : s;
    int month = (ten.data[2] - '0') * 10 + ten.data[3] - '0', day = (ten.data[4] - '0') * 10 + ten.data[5] - '0';
    day -= day > 60 ? 60 : 0;
    return pass_or_fail(month >= 1 && month <= 12 && day >= 1 && day <= 31 && checksum_luhn(ten));
}

static enum verdict_of_check check_se_orgnr(str s, str raw)
{
    return pass_or_fail(s.n == 10 && s.data[2] >= '2' && checksum_luhn(s));
}

static struct number table[] = {
    {{"UK_NHS", "uk_nhs", "national|health|service|nhs|authority"}, check_nhs, N(0), N(3) | N(10), 10, false,
     {FORM("\\d{3}([- ]?)\\d{3}\\1\\d{4}\\b", 0.5f)}},
    {{"UK_NINO", "uk_nino", "national|insurance|ni|nino"}, NULL, N(2), FROM_TO(0, 6), 6, false,
     {FORM("(?!bg|gb|nk|kn|nt|tn|zz)[a-ceghj-prstw-z][a-ceghj-nprstw-z] ?\\d{2} ?\\d{2} ?\\d{2} ?[a-d]\\b", 0.5f)}},
    {{"UK_PASSPORT", "uk_passport", "passport|travel|document|uk|british"}, NULL, N(2), N(7), 7, false, {FORM("[a-z]{2}\\d{7}\\b", 0.1f)}},
    {{"UK_POSTCODE", "uk_postcode", "postcode|post|address|zip"}, NULL, N(1) | N(2) | N(3), FROM_TO(0, 3), 1, false,
     {FORM("(?:gir ?0aa|(?:[a-pr-uwyz](?:\\d{1,2}|\\d[a-hjkps-uw]|[a-hk-y]\\d{1,2}|[a-hk-y]\\d[abehmnprv-y])) ?\\d[abd-hjlnp-uw-z]{2})\\b", 0.1f)}},
    {{"UK_VEHICLE_REGISTRATION", "uk_vehicle", "vehicle|registration|reg|plate|car|vrn|number"}, NULL, N(1) | N(2) | N(3), FROM_TO(0, 3), 1, false,
     {{{.pattern = "[a-hj-pr-y]{2}(?:0[2-9]|[1-2]\\d|5[1-9]|[67]\\d)[ -]?[a-hj-pr-z]{3}\\b", .caseless = true, .anchored = true}, 1.0f},
      FORM("[a-hj-npr-tv-y]\\d{1,3}[ -]?[a-hj-pr-y]{3}\\b", 0.2f), FORM("[a-hj-pr-y]{3}[ -]?\\d{1,3}[a-hj-npr-tv-y]\\b", 0.15f)}},
    {{"UK_DRIVING_LICENCE", "uk_driving_licence", "driving|licence|license|dvla|driver"}, NULL, FROM_TO(1, 5), FROM_TO(5, 9), 6, false,
     {FORM("(?=[a-z9]{5})[a-z]{1,5}9{0,4}\\d(?:0[1-9]|1[0-2]|5[1-9]|6[0-2])(?:0[1-9]|[12]\\d|3[01])\\d(?:[a-z]{2}|[a-z]9|99)[a-z0-9][a-z]{2}\\b", 0.4f)}},
    {{"ES_NIF", "es_nif", "documento|dni|nif|identificaci"}, check_nif, N(0), N(7) | N(8), 7, false, {FORM("\\d{7,8}-?[a-z]\\b", 0.5f)}},
    {{"ES_NIE", "es_nie", "nie|extranjero|identificaci"}, check_nif, N(1), N(7) | N(8), 7, false, {FORM("[xyz]\\d{7}-?[a-z]\\b", 0.5f)}},
    {{"ES_PASSPORT", "es_passport", "pasaporte|passport"}, NULL, N(3), N(6), 6, false, {FORM("[a-z]{3}\\d{6}\\b", 0.05f)}},
    {{"IT_FISCAL_CODE", "it_fiscal_code", "codice|fiscale|cf"}, check_codice_fiscale, N(6), FROM_TO(0, 2), 1, false,
     {FORM("[a-z]{6}[0-9lmnp-v]{2}[abcdehlmprst][0-9lmnp-v]{2}[a-z][0-9lmnp-v]{3}[a-z]\\b", 0.3f)}},
    {{"IT_VAT_CODE", "it_vat", "piva|partita|iva"}, check_it_vat, N(0), N(8) | N(11), 11, false, {FORM("\\d{8}[ _]?\\d{3}\\b", 0.1f)}},
    {{"IT_DRIVER_LICENSE", "it_driver_license", "patente|guida|licenza"}, NULL, N(1) | N(2), N(1) | N(7), 2, false,
     {FORM("(?:[a-z]{2}\\d{7}[a-z]|u1[0-9a-z]{7}[a-z])\\b", 0.2f)}},
    {{"IT_IDENTITY_CARD", "it_identity_card", "carta|identit"}, NULL, N(0) | N(2), N(5) | N(7), 5, false,
     {FORM("(?:[a-z]{2} ?\\d{7}|\\d{7}[a-z]{2}|[a-z]{2} ?\\d{5}[a-z]{2})\\b", 0.01f)}},
    {{"PL_PESEL", "pl_pesel", "pesel"}, check_pesel, N(0), N(11), 11, false,
     {FORM("\\d{2}(?:[02468][1-9]|[13579][012])(?:0[1-9]|[12]\\d|3[01])\\d{5}\\b", 0.4f)}},
    {{"FI_PERSONAL_IDENTITY_CODE", "fi_hetu", "hetu|henkil|personbeteckning|personal"}, check_hetu, N(0), N(6), 9, false,
     {FORM("\\d{6}[-+a-fu-y]\\d{3}[0-9a-fhj-npr-y]\\b", 0.5f)}},
    {{"SE_PERSONNUMMER", "se_personnummer", "personnummer|pnr|personal|identity"}, check_se_pnr, N(0), N(6) | N(8) | N(10) | N(12), 10, false,
     {FORM("(?:18|19|20)?\\d{6}[-+]?\\d{4}\\b", 0.5f)}},
    {{"SE_ORGANISATIONSNUMMER", "se_orgnr", "organisationsnummer|orgnr|orgnummer|company"}, check_se_orgnr, N(0), N(6) | N(10), 10, false,
     {FORM("[125-9]\\d[2-9]\\d{3}-?\\d{4}\\b", 0.6f)}},
    {{"DE_TAX_ID", "de_tax_id", "steuer|idnr|identifikationsnummer|tax|tin"}, check_de_tax_id, N(0), N(11), 11, false, {FORM("[1-9]\\d{10}\\b", 0.5f)}},
    {{"DE_TAX_NUMBER", "de_tax_number", "steuernummer|steuer|finanzamt|stnr"}, NULL, N(0), N(2) | N(3) | N(13), 10, false,
     {FORM("(?:0[1-9]|1[0-6])\\d{11}\\b", 0.5f), FORM("\\d{2,3}/\\d{3,4}/\\d{4,5}\\b", 0.3f)}},
    {{"DE_VAT_ID", "de_vat", "ust|umsatzsteuer|vat"}, NULL, N(2), FROM_TO(0, 9), 9, false, {FORM("de[ -]?\\d{3}([ -]?)\\d{3}\\1\\d{3}\\b", 0.5f)}},
    {{"DE_SOCIAL_SECURITY", "de_rvnr", "rentenversicherung|sozialversicherung|rvnr|sv"}, check_rvnr, N(0), N(8), 11, false,
     {FORM("\\d{2}(?:0[1-9]|[12]\\d|3[01]|5[1-9]|[67]\\d|8[01])(?:0[1-9]|1[0-2])\\d{2}[a-z]\\d{3}\\b", 0.5f)}},
    {{"DE_HEALTH_INSURANCE", "de_kvnr", "krankenversicher|versichertennummer|kvnr|gesundheit"}, check_kvnr, N(1), N(9), 9, false,
     {FORM("[a-z]\\d{9}\\b", 0.3f)}},
    {{"DE_ID_CARD", "de_id_card", "personalausweis|ausweis"}, check_de_id_card, N(1) | N(2), FROM_TO(0, 8), 1, false,
     {FORM("(?:t\\d{8}|[cfghjkl-npr][cfghjkl-npr-tv-z0-9]{7}\\d)\\b", 0.5f), FORM("l[cfghjkl-npr-tv-z0-9]{7}\\d\\b", 0.4f)}},
    {{"DE_PASSPORT", "de_passport", "reisepass|pass"}, check_icao, N(1) | N(2), FROM_TO(0, 8), 1, false,
     {FORM("[cfghjk][cfghjkl-npr-tv-z0-9]{7}\\d\\b", 0.4f)}},
    {{"DE_LANR", "de_lanr", "arztnummer|lanr|arzt"}, check_lanr, N(0), N(9), 9, false, {FORM("\\d{9}\\b", 0.3f)}},
    {{"DE_BSNR", "de_bsnr", "betriebsst|bsnr|praxis"}, NULL, N(0), N(9), 9, false,
     {FORM("(?:0[1-35]|17|20|38|4[67]|5[12]|7[1-3]|78|8[38]|9[34589]|35)\\d{7}\\b", 0.2f)}},
    {{"DE_FUEHRERSCHEIN", "de_driver_license", "hrerschein|fahrerlaubnis"}, NULL, N(2), N(8) | N(9), 8, false, {FORM("[a-z]{2}\\d{8}[a-z0-9]\\b", 0.4f)}},
    {{"DE_HANDELSREGISTER", "de_handelsregister", "handelsregister|amtsgericht|register"}, NULL, N(3), FROM_TO(0, 6), 1, false,
     {FORM("hr[ab] ?\\d{1,6}\\b", 0.5f)}},
    {{"DE_KFZ", "de_kfz", "kennzeichen|kfz|auto"}, NULL, FROM_TO(1, 3), N(0), 1, false,
     {FORM("[a-z]{1,3}([- ])[a-z]{1,2}\\1[1-9]\\d{0,3}[eh]?\\b", 0.3f)}},
    {{"DE_PLZ", "de_plz", "plz|postleitzahl|ort|anschrift|adresse"}, NULL, N(0), N(5), 5, false,
     {FORM("(?!01000|99999)(?:0[1-9]\\d{3}|[1-9]\\d{4})\\b", 0.05f)}},
};

TABLE(numbers_europe, table);
