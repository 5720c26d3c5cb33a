/* Passwords and tokens without an issuer's rule: what counts as a value, and where. */
#include "scan/credentials.h"

#include <criterion/criterion.h>

/* The highest score of a find of this type that is exactly value; 0: none. */
static float score_of(const char *text, const char *type, const char *value)
{
    struct findings found = {0};
    struct error err = {0};
    float best = 0;
    cr_assert_eq(policy_scan(NULL, str_of(text), (str){NULL, 0}, &found, &err), 0, "%s", err.text);
    for (size_t i = 0; i < found.n; i++) {
        str place = {text + found.items[i].start, found.items[i].end - found.items[i].start};
        if (strcmp(found.items[i].type, type) == 0 && (value == NULL || str_equal(place, str_of(value))) && found.items[i].score > best)
            best = found.items[i].score;
    }
    findings_release(&found);
    return best;
}

Test(credentials, a_value_beside_a_secrets_name_is_found_and_nothing_around_it)
{
    static const char *const cases[][2] = {
        {"my password is Hunter2!9.", "Hunter2!9"},
        {"mysql --password=Hunter22 -u root", "Hunter22"},
        {"login --password hunter2x now", "hunter2x"},
        {"{\"db\": {\"password\": \"Hunter 2\"}}", "Hunter 2"},
        {"{\"arguments\":\"{\\\"api_key\\\": \\\"8f7d9a1b\\\"}\"}", "8f7d9a1b"},
        {"Passwort: Gehe1m99", "Gehe1m99"},
        {"contraseña: s3creta9", "s3creta9"},
        {"clientSecret := 'ab-12'", "ab-12"},
        {"if (\"Tr0ub4dor\" == my_passwd) {", "Tr0ub4dor"},
        {"char secret[16] = \"k-9\";", "k-9"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_geq(score_of(cases[i][0], "credential-assignment", cases[i][1]), 0.5f, "%s", cases[i][0]);
}

Test(credentials, code_placeholders_and_prose_are_no_credentials)
{
    static const char *const texts[] = {
        "password = os.environ['DB_PASSWORD']", "password: ${DB_PASSWORD}", "const password = getPassword2();",
        "{\"password\": {\"type\": \"string\"}}", "<input type=\"password\" name=\"pw2\" value=\"x\">", "pwd: /home/user2/x",
        "What is a password? It is: something2", "Reset your password: https://x.com/reset2", "api_key = os.getenv('KEY1')",
        "self.password = config.password1", "The secretary: John55 said", "password = \"your-password-1\"", "secret: ''",
        "the password must have 8 characters", "api_key: \"<insert 1 here>\"", "password = \"%s\" % value1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        cr_expect_eq(score_of(texts[i], "credential-assignment", NULL), 0, "%s", texts[i]);
}

Test(credentials, a_label_of_letters_stays_below_the_usual_threshold)
{
    cr_expect_lt(score_of("password: \"enter it twice\"", "credential-assignment", NULL), 0.4f);
    cr_expect_gt(score_of("password: \"enter it twice\"", "credential-assignment", NULL), 0);
}

Test(credentials, a_random_string_needs_a_word_for_a_secret_beside_it)
{
    cr_expect_lt(score_of("etag = \"2b00042f7481c7b056c4b410d28f33cf\"", "random-string", NULL), 0.4f);
    cr_expect_geq(score_of("auth = \"2b00042f7481c7b056c4b410d28f33cf\"", "random-string", "2b00042f7481c7b056c4b410d28f33cf"), 0.4f);
    cr_expect_eq(score_of("\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1\"", "random-string", NULL), 0);
}

Test(credentials, tokens_of_known_forms_are_found)
{
    cr_expect_geq(score_of("postgres://admin:s3cr3tPw@db.example.org/x", "basic-auth-url", "s3cr3tPw"), 0.5f);
    cr_expect_eq(score_of("http://localhost:5000/x@y", "basic-auth-url", NULL), 0);
    cr_expect_geq(score_of("bot MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs.", "discord-bot-token", NULL), 0.5f);
    cr_expect_geq(score_of("110201543:AAHdqTcvCH1vGWJxfSe1ofSAs0K5PALDsaw", "telegram-token", NULL), 0.5f);
    cr_expect_geq(score_of("xoxp-523423-234243-234233-e039d02840a0b9379c", "slack-token", NULL), 0.5f);
    cr_expect_lt(score_of("the APACHECONFIGURATION of an APConfigurationService", "artifactory-token", NULL), 0.4f);
    cr_expect_geq(score_of("some text\n-----BEGIN PRIVATE KEY-----\nyabba", "private-key-header", NULL), 0.5f);
}
